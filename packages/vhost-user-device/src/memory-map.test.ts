import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { OpenMode, openFile } from "@passt-ts/linux/file-io";
import { addSeals, Seal, setFileSize } from "@passt-ts/linux/memory-file";
import { memoryRegionRequest, memoryTableRequest, vringAddressRequest } from "@passt-ts/vhost-user-proto/front-end";
import { SplitDeviceQueue } from "@passt-ts/virtio-ring/split-device-queue";
import { splitRing } from "@passt-ts/virtio-ring/split-ring";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const MIB = 1024 * 1024;

const openFds = (): number => readdirSync("/proc/self/fd").length;
const guestMaps = (): number => readFileSync("/proc/self/maps", "utf8").split("guest-ram").length - 1;

/** The windows of guest memory that a device has, as their own objects. */
const guestWindows = (rig: DeviceRig): Uint8Array[] => rig.windows.bytes.filter((bytes) => bytes.length === 16 * MIB);

function echoes(guest: TestFrontEnd, seed: number): void {
  guest.send(testFrame(100, seed));
  expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100, seed));
}

describe("guest memory", () => {
  test("a file that is sealed is said to be so, one that was cut before is refused", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    expect(rig.lines("guest memory: 1 regions, 16 MiB, not sealed")).toHaveLength(1);
    setFileSize(guest.ram.file.fd, 4096);
    const table = memoryTableRequest(guest.ram.table, true);
    setFileSize(guest.ram.file.fd, 8192);
    expect(guest.control.acknowledged(table, [guest.ram.file.fd])).toBe(1n);
    setFileSize(guest.ram.file.fd, 16 * MIB);
    addSeals(guest.ram.file.fd, Seal.shrink);
    expect(guest.control.acknowledged(table, [guest.ram.file.fd])).toBe(0n);
    expect(rig.lines("guest memory: 1 regions, 16 MiB, sealed")).toHaveLength(1);
  });

  test("User-Mode Linux's table of one region in a payload for two is taken", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    guest.negotiate();
    const table = memoryTableRequest(guest.ram.table, true, 2);
    expect(guest.control.acknowledged(table, [guest.ram.file.fd])).toBe(0n);
    expect(rig.device.state.regions).toBe(1);
  });

  test("a table replaced while rings run: they go on, old windows reach nothing, old maps are gone", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    const stale = guestWindows(rig);
    expect(stale).toHaveLength(1);
    for (let i = 0; i < 5; i++) {
      // One frame is waiting in the ring when the table comes.
      guest.tx.send(testFrame(100, i), []);
      guest.tx.queue.publish();
      guest.shareMemory();
      guest.tx.kickAnyway();
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100, i));
    }
    expect(stale[0]?.length).toBe(0);
    // One of the test's own, one of the device's.
    expect(guestMaps()).toBe(2);
    // Of the guest's memory, the announcement and the back-end.
    expect(rig.windows.count).toBe(3);
  });

  test("a table without the rings' memory stops them, and a later start works", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.request((need) => memoryTableRequest([], need));
    expect(rig.device.state).toMatchObject({ regions: 0, rings: [{ started: false }, { started: false }] });
    expect(rig.lines("stopped")).toHaveLength(2);
    guest.shareMemory();
    guest.startRing(guest.rx);
    guest.startRing(guest.tx);
    guest.offerBuffers(1);
    guest.send(testFrame(60));
    expect(guest.receiveMany(1)).toHaveLength(1);
  });

  test("views and ring queues over an old table throw, and reach nothing of the new one", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const [window] = guestWindows(rig) as [Uint8Array];
    const view = rig.windows.views.find((each) => each.buffer === window.buffer) as DataView;
    const at = (offset: number, bytes: number) => new Uint8Array(window.buffer, offset, bytes);
    const ring = splitRing(256, at(0, 4096), at(4096, 6 + 512), at(8192, 6 + 2048));
    const memory = { translate: () => 0 } as never;
    const queue = new SplitDeviceQueue({ ring, memory, eventIndex: false, indirect: false, startIndex: 0 });
    expect(queue.pending()).toBe(0);
    expect(view.getUint8(0)).toBe(guest.ram.bytes[0] as number);
    guest.shareMemory();
    expect(() => view.getUint8(0)).toThrow(TypeError);
    expect(() => queue.pending()).toThrow(TypeError);
    expect(() => queue.allowKicks()).toThrow(TypeError);
    expect(window).toHaveLength(0);
    expect(window[0]).toBeUndefined();
  });

  test("/proc/self/maps: one mapping for each region, gone with the table, and with the front-end", () => {
    const own = guestMaps();
    using rig = new DeviceRig({ echo: true });
    const half = 8 * MIB;
    const region = (i: number) => ({
      guestAddress: 0x4000_0000 + i * half,
      userAddress: 0x7f00_0000_0000 + i * 2 * half,
      fileOffset: i * half,
      sizeBytes: half,
    });
    const guest = rig.frontEnd({ regions: [region(0), region(1)] }).boot();
    // One more is the test's own.
    expect(guestMaps() - own).toBe(3);
    guest.offerBuffers(4);
    echoes(guest, 1);
    const refused = memoryTableRequest([...guest.ram.table, ...guest.ram.table], true);
    const fd = guest.ram.file.fd;
    expect(guest.control.acknowledged(refused, [fd, fd, fd, fd])).toBe(1n);
    expect(guestMaps() - own).toBe(3);
    guest.request((need) => memoryTableRequest(guest.ram.table.slice(0, 1), need), [fd]);
    expect(guestMaps() - own).toBe(2);
    echoes(guest, 2);
    guest.disconnect();
    rig.pump();
    expect(guestMaps() - own).toBe(1);
    guest[Symbol.dispose]();
    expect(guestMaps()).toBe(own);
  });

  test("a table replaced with frames under way in both directions: none is lost, twice there, or changed", () => {
    using rig = new DeviceRig({ echo: true });
    rig.backend.framesPerTurn = 3;
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(40, [500]);
    const frames = Array.from({ length: 60 }, (_, i) => testFrame(60 + i * 20, i));
    const received: Uint8Array[] = [];
    const table = memoryTableRequest(guest.ram.table, true);
    for (const [i, frame] of frames.entries()) {
      guest.tx.reapSent();
      guest.tx.send(frame, [12, 14 + (i % 30)]);
      guest.tx.kick();
      // One turn at a time, so that a part of the echoes waits when the table comes.
      rig.loop.wait(0);
      rig.device.turn(rig.nowMs++);
      if (i % 4 === 3) guest.control.send(table, [guest.ram.file.fd]);
      received.push(...guest.rx.takeFrames(true).map((each) => each.bytes));
      guest.rx.kick();
    }
    guest.until(() => {
      received.push(...guest.receive().map((each) => each.bytes));
      return received.length >= frames.length;
    }, "all frames");
    expect(received).toEqual(frames);
    expect(rig.lines("guest memory:")).toHaveLength(1 + 15);
    // Of the guest's memory, the announcement and the back-end.
    expect(rig.windows.count).toBe(3);
    for (let i = 0; i < 15; i++) guest.until(() => guest.control.poll() !== null, "an acknowledgement");
  });

  test("eight regions of one file, some with an offset that is no multiple of a page", () => {
    using rig = new DeviceRig({ echo: true });
    const regions = Array.from({ length: 8 }, (_, i) => ({
      guestAddress: 0x1_0000_0000 * (i + 1),
      userAddress: 0x7f00_0000_0000 + i * 0x1000_0000,
      fileOffset: i * MIB + (i > 0 ? 0x30 : 0),
      sizeBytes: MIB + (i === 0 ? 0x30 : 0),
    }));
    using guest = rig.frontEnd({ memoryBytes: 8 * MIB + 0x30, regions }).boot();
    expect(rig.device.state).toMatchObject({ regions: 8, memoryBytes: 8 * MIB + 0x30 });
    guest.offerBuffers(200, [4000]);
    for (let i = 0; i < 200; i++) echoes(guest, i);
    expect(rig.lines("broken")).toEqual([]);
  });

  test("a file that may only be read, or nothing at all behind the descriptor, is refused", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    const before = [openFds(), guestMaps(), rig.windows.count];
    const table = memoryTableRequest(guest.ram.table, true);
    for (const path of [`/proc/self/fd/${guest.ram.file.fd}`, "/dev/null", "/"]) {
      using file = openFile(path, OpenMode.read);
      expect(guest.control.acknowledged(table, [file.fd])).toBe(1n);
    }
    expect([openFds(), guestMaps(), rig.windows.count]).toEqual(before);
    guest.offerBuffers(1);
    echoes(guest, 7);
  });

  test("memory of more than 4 TiB, in a table or by one region more, is refused, and the connection lives", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(2);
    const before = rig.windows.count;
    setFileSize(guest.ram.file.fd, 2 ** 60);
    const at = { guestAddress: 1n << 50n, userAddress: 1n << 50n, mmapOffset: 0n };
    for (const sizeBytes of [1n << 52n, (1n << 42n) + 1n]) {
      const table = memoryTableRequest([{ ...at, sizeBytes }], true);
      expect(guest.control.acknowledged(table, [guest.ram.file.fd])).toBe(1n);
    }
    const more = memoryRegionRequest("ADD_MEM_REG", { ...at, sizeBytes: 1n << 42n }, true);
    expect(guest.control.acknowledged(more, [guest.ram.file.fd])).toBe(1n);
    expect(rig.lines("refused")).toEqual([
      "warning: refused SET_MEM_TABLE: guest memory of 4294967296 MiB takes 4194304 windows, at most 4096",
      "warning: refused SET_MEM_TABLE: guest memory of 4194305 MiB takes 4097 windows, at most 4096",
      "warning: refused ADD_MEM_REG: guest memory of 4194320 MiB takes 4097 windows, at most 4096",
    ]);
    expect(rig.windows.count).toBe(before);
    echoes(guest, 1);
    // As much as is allowed comes, is replaced, is announced, and goes.
    for (let i = 0; i < 2; i++) {
      const most = memoryTableRequest([{ ...at, sizeBytes: 1n << 42n }], true);
      expect(guest.control.acknowledged(most, [guest.ram.file.fd])).toBe(0n);
      expect(rig.windows.count).toBe(before - 1 + 4096);
    }
    guest.session.announce(new Uint8Array([2, 0, 0, 0, 0, 1]));
    rig.pump();
    expect(rig.backend.sent).toHaveLength(2);
    setFileSize(guest.ram.file.fd, 16 * MIB);
    guest.disconnect();
    rig.pump();
    expect(rig.windows.count).toBe(before - 1);
  });

  test("a device that is closed, twice too, has given its own window back", () => {
    using rig = new DeviceRig();
    rig.device.close();
    rig.device.close();
    expect(rig.windows.count).toBe(1);
  });

  test("ring addresses that are never the same do not use up memory for ever", () => {
    using rig = new DeviceRig({ windowBytesMax: 4096, echo: true });
    using guest = rig.frontEnd({ queueSize: 256, memoryBytes: 2 * MIB, ringOffsets: [2048, 69632] }).boot();
    const { address } = guest.tx;
    let refused = 0;
    for (let i = 0; i < 4000; i++) {
      const used = guest.ram.userAddress(MIB - 4 * (i + 1));
      if (guest.control.acknowledged(vringAddressRequest({ ...address, used }, true)) !== 0n) refused++;
    }
    expect(refused).toBeGreaterThan(500);
    expect(guest.control.acknowledged(vringAddressRequest(address, true))).toBe(0n);
    guest.offerBuffers(1);
    echoes(guest, 3);
  });
});
