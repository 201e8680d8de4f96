import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { memoryRegionRequest } from "@passt-ts/vhost-user-proto/front-end";
import type { MemoryRegion } from "@passt-ts/vhost-user-proto/payload";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const maps = (name: string): number => readFileSync("/proc/self/maps", "utf8").split(`memfd:${name}`).length - 1;

function echoes(guest: TestFrontEnd, seed: number, layout?: readonly number[]): void {
  guest.send(testFrame(500, seed), layout);
  expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(500, seed));
}

describe("memory slots", () => {
  const slot = (i: number): MemoryRegion => ({
    guestAddress: BigInt(i + 1) << 33n,
    userAddress: BigInt(i + 1) << 20n,
    sizeBytes: 65536n,
    mmapOffset: BigInt(i) * 65536n,
  });

  test("guest memory in one region after the other, without a table; rings and buffers in different ones", () => {
    using rig = new DeviceRig({ echo: true });
    const regions = Array.from({ length: 16 }, (_, i) => ({
      guestAddress: (i + 1) * 8 * GIB,
      userAddress: 0x7f00_0000_0000 + i * 2 * MIB,
      fileOffset: i * MIB,
      sizeBytes: MIB,
    }));
    using guest = rig.frontEnd({ regions });
    guest.negotiate();
    expect(guest.session.memorySlots()).toBe(512n);
    for (const region of guest.ram.table) guest.session.addMemory(region, guest.ram.file.fd);
    expect(rig.device.state).toMatchObject({ regions: 16, memoryBytes: 16 * MIB });
    guest.startRing(guest.rx);
    guest.startRing(guest.tx);
    guest.offerBuffers(100, [3000, 3000]);
    for (let i = 0; i < 50; i++) echoes(guest, i);
  });

  test("come and go while frames are under way in both directions: none is lost, twice there, or changed", () => {
    using rig = new DeviceRig({ echo: true });
    rig.backend.framesPerTurn = 3;
    using guest = rig.frontEnd().boot();
    using extra = createMemoryFile("hotplug", 16 * MIB);
    guest.offerBuffers(40, [500]);
    const frames = Array.from({ length: 80 }, (_, i) => testFrame(60 + i * 20, i));
    const received: Uint8Array[] = [];
    const before = rig.windows.count;
    for (const [i, frame] of frames.entries()) {
      guest.tx.reapSent();
      guest.tx.send(frame, [12, 14 + (i % 30)]);
      guest.tx.kick();
      rig.loop.wait(0);
      rig.device.turn(rig.nowMs++);
      const request = i % 2 === 0 ? "ADD_MEM_REG" : "REM_MEM_REG";
      guest.control.send(memoryRegionRequest(request, slot(i >> 1), true), [extra.fd]);
      received.push(...guest.rx.takeFrames(true).map((each) => each.bytes));
      guest.rx.kick();
    }
    guest.until(() => {
      received.push(...guest.receive().map((each) => each.bytes));
      return received.length >= frames.length;
    }, "all frames");
    expect(received).toEqual(frames);
    expect([rig.lines("refused"), rig.windows.count, maps("hotplug")]).toEqual([[], before, 0]);
  });

  test("/proc/self/maps: one mapping for each, gone when its region goes; views of it reach nothing then", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using extra = createMemoryFile("hotplug", 16 * MIB);
    guest.offerBuffers(4);
    for (let i = 0; i < 3; i++) guest.session.addMemory(slot(i), extra.fd);
    expect(maps("hotplug")).toBe(3);
    const windows = rig.windows.bytes.filter((bytes) => bytes.length === 65536);
    expect(windows).toHaveLength(3);
    guest.session.removeMemory(slot(1));
    expect(maps("hotplug")).toBe(2);
    expect(windows.map((bytes) => bytes.length)).toEqual([65536, 0, 65536]);
    echoes(guest, 1);
    // Known by addresses and size, whatever the offset; the same place may be filled again.
    guest.session.removeMemory({ ...slot(0), mmapOffset: 12345n });
    guest.session.addMemory(slot(1), extra.fd);
    expect(maps("hotplug")).toBe(2);
    guest.shareMemory();
    expect([maps("hotplug"), rig.device.state.regions]).toEqual([0, 1]);
    echoes(guest, 2);
  });

  test("a region that holds rings takes them with it, and back they start", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    const [region] = guest.ram.table as [MemoryRegion];
    guest.session.removeMemory(region);
    expect(rig.device.state).toMatchObject({ regions: 0, rings: [{ started: false }, { started: false }] });
    expect(rig.lines("stopped")).toHaveLength(2);
    guest.session.addMemory(region, guest.ram.file.fd);
    guest.startRing(guest.rx);
    guest.startRing(guest.tx);
    guest.offerBuffers(1);
    echoes(guest, 1);
  });

  test("that overlap, reach behind their file, are unknown or too many: refused, and nothing changes", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using extra = createMemoryFile("hotplug", 513 * 65536);
    const [first] = guest.ram.table as [MemoryRegion];
    const wrong: [MemoryRegion, string][] = [
      [first, "overlap"],
      [{ ...first, guestAddress: first.guestAddress + 4096n }, "overlap"],
      [{ ...slot(0), mmapOffset: 513n * 65536n }, "of a file of"],
      [{ ...slot(0), guestAddress: 1n << 60n }, "guest address"],
      [{ ...slot(0), sizeBytes: 0n }, "of 0 bytes"],
    ];
    for (const [region, why] of wrong) {
      expect(() => guest.session.addMemory(region, extra.fd)).toThrow("refused");
      expect(rig.logged.at(-1)).toContain(why);
    }
    for (const region of [slot(0), { ...first, sizeBytes: 4096n }, { ...first, userAddress: 0n }]) {
      expect(() => guest.session.removeMemory(region)).toThrow("refused");
    }
    expect([rig.device.state.regions, maps("hotplug")]).toEqual([1, 0]);
    for (let i = 0; i < 511; i++) guest.session.addMemory(slot(i), extra.fd);
    expect(() => guest.session.addMemory(slot(511), extra.fd)).toThrow("refused");
    expect(rig.device.state.regions).toBe(512);
    guest.offerBuffers(1);
    echoes(guest, 1);
  });
});

describe("large guest memory", () => {
  // The memory that is used lies around the edge between the fifth and the sixth window.
  const edge = 8 * MIB;
  const places: readonly (readonly [what: string, rings: readonly [number, number], buffersAt: number])[] = [
    ["the receive ring", [edge - 2048, edge - 65536], edge + 65536],
    ["the transmit ring", [edge - 65536, edge - 4096 - 256], edge + 65536],
    ["buffers", [0, 65536], edge - 500_000],
  ];
  for (const [what, ringOffsets, buffersAt] of places) {
    test(`a region of 6 GiB above 4 GiB, with ${what} across the edge of a window`, () => {
      using rig = new DeviceRig({ echo: true });
      const region = { guestAddress: 0x1_4000_0000, userAddress: 0x7e00_0000_0000, fileOffset: 0, sizeBytes: 6 * GIB };
      const sparseFile = { sizeBytes: 6 * GIB, mappedAt: 5 * GIB - edge };
      using guest = rig.frontEnd({ regions: [region], sparseFile, ringOffsets, buffersAt }).boot();
      expect(rig.device.state).toMatchObject({ regions: 1, memoryBytes: 6 * GIB });
      expect(rig.windows.bytes.filter((bytes) => bytes.length === GIB)).toHaveLength(6);
      guest.offerBuffers(80, [100, 3000, 6000]);
      for (let i = 0; i < 300; i++) {
        guest.send(testFrame(9000, i), [12, 54]);
        expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(9000, i));
      }
      expect(rig.lines("broken")).toEqual([]);
    });
  }

  test("holes between regions: a buffer that reaches into one breaks the ring, one that ends before it does not", () => {
    using rig = new DeviceRig({ echo: true });
    const regions = [
      { guestAddress: 0, userAddress: 0x7f00_0000_0000, fileOffset: 0, sizeBytes: 8 * MIB },
      { guestAddress: 0x1_0000_0000, userAddress: 0x7f80_0000_0000, fileOffset: 8 * MIB, sizeBytes: 8 * MIB },
    ];
    using guest = rig.frontEnd({ regions }).boot();
    guest.offerBuffers(4);
    const end = 8 * MIB - 512;
    const { descriptors, available } = guest.tx.ring;
    for (const [lengthBytes, errors] of [
      [512, 0],
      [513, 1],
    ] as const) {
      guest.tx.send(new Uint8Array(500), []);
      descriptors.set([end, 0, lengthBytes], 4 * (available[2 + (available[1] & 255)] ?? 0));
      guest.tx.kick();
      rig.pump();
      expect(guest.tx.takeErrors()).toBe(errors);
    }
    expect(rig.lines("outside guest memory")).toHaveLength(1);
  });
});
