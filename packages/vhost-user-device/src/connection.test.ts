import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createEventFd } from "@passt-ts/linux/eventfd";
import { createMemoryFile, setFileSize } from "@passt-ts/linux/memory-file";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { connectUnix } from "@passt-ts/linux/unix-socket";
import {
  configRequest,
  memoryTableRequest,
  plainRequest,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import { encodeMessage, encodeReply, encodeRequest } from "@passt-ts/vhost-user-proto/header";
import { decodeU64, encodeU64 } from "@passt-ts/vhost-user-proto/payload";
import { FRONT_END_REQUESTS } from "@passt-ts/vhost-user-proto/requests";
import { DeviceCounter } from "./device-counter.ts";
import { ControlSocket } from "./testing/control-socket.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import { TestFrontEnd } from "./testing/front-end.ts";

const openFds = (): number => readdirSync("/proc/self/fd").length;
const guestMaps = (): number => readFileSync("/proc/self/maps", "utf8").split("guest-ram").length - 1;

const path = `${tmpdir()}/passt-ts-device-${process.pid}.sock`;
afterEach(() => rmSync(path, { force: true }));

describe("clients", () => {
  test("a second one is closed at once, and its process id logged", () => {
    using rig = new DeviceRig({ echo: true });
    rig.device.listen(path);
    using guest = new TestFrontEnd({ pump: rig.pump }).connect(path).boot();
    const second = new ControlSocket(connectUnix(path), rig.pump);
    second.expectClosed();
    second.close();
    expect(rig.lines("second client")).toEqual([
      `warning: second client closed (pid ${process.pid}): a front-end is connected`,
    ]);
    expect(rig.device.counters[DeviceCounter.clientsRefused]).toBe(1);
    guest.offerBuffers(1);
    guest.send(testFrame(60));
    expect(guest.receiveMany(1)).toHaveLength(1);
  });

  test("one that comes while the end of the last is unread is served", () => {
    using rig = new DeviceRig();
    rig.device.listen(path);
    const first = connectUnix(path);
    rig.pump();
    const second = connectUnix(path);
    first.close();
    using guest = new TestFrontEnd({ pump: rig.pump }).connect(second);
    guest.negotiate();
    expect(rig.device.counters[DeviceCounter.clientsRefused]).toBe(0);
    expect(rig.device.counters[DeviceCounter.connections]).toBe(2);
  });

  test("several in a row, some going in the middle of a message: nothing stays behind", () => {
    using rig = new DeviceRig({ echo: true });
    rig.device.listen(path);
    const counts: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const guest = new TestFrontEnd({ pump: rig.pump }).connect(path).boot();
      guest.offerBuffers(2);
      guest.send(testFrame(100 + i));
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100 + i));
      using fd = createEventFd();
      guest.control.send(plainRequest("SET_BACKEND_REQ_FD"), [fd.fd]);
      guest.settle();
      expect(rig.device.state).toMatchObject({ connected: true, fds: 7, regions: 1 });
      // Half a header with a descriptor, which is to be closed too.
      if (i % 2 === 1) guest.control.send(u64Request("SET_FEATURES", 1n).subarray(0, 5), [fd.fd]);
      guest[Symbol.dispose]();
      rig.pump();
      expect(rig.device.state).toMatchObject({ connected: false, fds: 0, regions: 0, rings: [] });
      fd.close();
      counts.push([openFds(), guestMaps(), rig.windows.count, rig.loop.count]);
    }
    expect(counts).toEqual(counts.map(() => counts[0]));
    expect(guestMaps()).toBe(0);
    expect([rig.disconnects, rig.backend.resets]).toEqual([4, 4]);
    expect(rig.lines("in the middle of a message")).toHaveLength(2);
  });

  test("a stream-mode client is refused with one clear line", () => {
    using rig = new DeviceRig();
    rig.device.listen(path);
    const client = new ControlSocket(connectUnix(path), rig.pump);
    const frame = new Uint8Array(4 + 60);
    new DataView(frame.buffer).setUint32(0, 60, false);
    frame.set(testFrame(60), 4);
    client.send(frame);
    client.expectClosed();
    client.close();
    expect(rig.logged.filter((line) => line.includes("stream-mode"))).toHaveLength(1);
    expect(rig.logged).toHaveLength(2);
  });
});

describe("messages that are refused", () => {
  const REGION = { guestAddress: 0n, sizeBytes: 65536n, userAddress: 0x10000n, mmapOffset: 0n };
  const address = (change: object) => ({
    index: 0,
    flags: 0,
    descriptors: 0x10000n,
    available: 0x11000n,
    used: 0x12000n,
    logAddress: 0n,
    ...change,
  });

  test("each is answered non-zero, logged, and changes nothing; the connection lives", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using memory = createMemoryFile("small", 65536);
    using event = createEventFd();
    const before = [rig.device.state, openFds(), rig.windows.count];
    const state = (name: "SET_VRING_NUM" | "SET_VRING_BASE" | "SET_VRING_ENABLE", index: number, value: number) =>
      vringStateRequest(name, { index, value }, true);
    const refused: [string, Uint8Array, number[]][] = [
      ["payload of 5000 bytes", encodeRequest(2, new Uint8Array(5000), true), []],
      ["payload of 7 bytes", encodeRequest(2, new Uint8Array(7), true), []],
      ["features not offered: RING_PACKED", u64Request("SET_FEATURES", 1n << 34n, true), []],
      ["features not offered: SHMEM", u64Request("SET_PROTOCOL_FEATURES", 1n << 21n, true), []],
      ["flags 0xd", encodeMessage(3, 13, new Uint8Array(0)), []],
      ["2 file descriptors", plainRequest("SET_OWNER", true), [event.fd, event.fd]],
      ["no ring 2", state("SET_VRING_NUM", 2, 256), []],
      ["size 0", state("SET_VRING_NUM", 0, 0), []],
      ["size 100", state("SET_VRING_NUM", 0, 100), []],
      ["size 65536", state("SET_VRING_NUM", 0, 65536), []],
      ["no ring 4294967295", state("SET_VRING_BASE", 0xffffffff, 0), []],
      ["base 65536", state("SET_VRING_BASE", 1, 65536), []],
      ["enable 2", state("SET_VRING_ENABLE", 1, 2), []],
      ["no ring 7", state("SET_VRING_ENABLE", 7, 1), []],
      ["not mapped", vringAddressRequest(address({}), true), []],
      ["no ring 2", vringAddressRequest(address({ index: 2 }), true), []],
      ["no ring 200", vringFdRequest("SET_VRING_KICK", { index: 200, hasFd: true }, true), [event.fd]],
      ["no ring 2", vringFdRequest("SET_VRING_CALL", { index: 2, hasFd: true }, true), [event.fd]],
      ["no ring 3", vringFdRequest("SET_VRING_ERR", { index: 3, hasFd: true }, true), [event.fd]],
      ["0 file descriptors", vringFdRequest("SET_VRING_CALL", { index: 1, hasFd: true }, true), []],
      ["cannot be waited for", vringFdRequest("SET_VRING_KICK", { index: 1, hasFd: true }, true), [memory.fd]],
      ["of a file of 65536", memoryTableRequest([{ ...REGION, mmapOffset: 1n }], true), [memory.fd]],
      ["of a file of 65536", memoryTableRequest([{ ...REGION, sizeBytes: 65537n }], true), [memory.fd]],
      [
        "end of the address space",
        memoryTableRequest([{ ...REGION, sizeBytes: 2n ** 64n - 1n, mmapOffset: 1n }], true),
        [memory.fd],
      ],
      ["user address", memoryTableRequest([{ ...REGION, userAddress: 1n << 60n }], true), [memory.fd]],
      ["not a file", memoryTableRequest([REGION], true), [event.fd]],
      ["overlaps", memoryTableRequest([REGION, { ...REGION, guestAddress: 4096n }], true), [memory.fd, memory.fd]],
      ["0 bytes", memoryTableRequest([{ ...REGION, sizeBytes: 0n }], true), [memory.fd]],
      ["1 file descriptors, 2 expected", memoryTableRequest([REGION, REGION], true), [memory.fd]],
      // The second one fails when the first is mapped already.
      [
        "of a file of 65536",
        memoryTableRequest([REGION, { ...REGION, guestAddress: 1n << 32n, sizeBytes: 1n << 30n }], true),
        [memory.fd, memory.fd],
      ],
      ["an MTU of 67", u64Request("NET_SET_MTU", 67n, true), []],
      ["read-only", configRequest("SET_CONFIG", { offset: 0, flags: 0, contents: new Uint8Array(6) }, true), []],
      ["not supported", encodeRequest(7, new Uint8Array(0), true), [event.fd]],
    ];
    for (const [why, request, fds] of refused) {
      rig.logged.length = 0;
      rig.device.counters[DeviceCounter.messagesRefused] = 0;
      // Only so many refusals are logged: the rest is counted. Begin again, to see each line.
      expect([why, guest.control.acknowledged(request, fds)]).toEqual([why, 1n]);
      expect(rig.device.counters[DeviceCounter.messagesRefused]).toBe(1);
      if (refused.findIndex((entry) => entry[1] === request) < 20) expect(rig.logged.join()).toContain(why);
    }
    expect([rig.device.state, openFds(), rig.windows.count]).toEqual(before);
    guest.offerBuffers(1);
    guest.send(testFrame(60));
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(60));
  });

  test("an unknown request with descriptors is answered non-zero when it asks for an answer", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    guest.negotiate();
    using event = createEventFd();
    const before = openFds();
    for (const request of [0, 99, 0xffffffff]) {
      guest.control.send(encodeRequest(request, new Uint8Array(10_000), false), [event.fd]);
      guest.control.send(encodeRequest(request, new Uint8Array(100), true), [event.fd]);
      rig.pump();
      const bytes = new Uint8Array(40);
      expect(new UnixMessages().receive(guest.control.socket.fd, bytes, 0, 40, new Int32Array(0))).toBe(20);
      expect([...bytes.subarray(0, 20)]).toEqual([...encodeReply(request, encodeU64(1))]);
    }
    expect(openFds()).toBe(before);
    expect(rig.lines("refused request 99: unknown request 99")).toHaveLength(2);
  });

  test("a request that waits for a reply of its own gets an empty one", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    const empty = [
      vringStateRequest("GET_VRING_BASE", { index: 9, value: 0 }),
      plainRequest("GET_MAX_MEM_SLOTS"),
      encodeRequest(24, new Uint8Array(11)),
    ];
    for (const request of empty) expect(() => guest.control.ask(request)).toThrow("payload of 0 bytes");
    // Without REPLY_ACK need_reply means nothing, and what is unknown has no reply at all.
    guest.control.send(encodeRequest(99, new Uint8Array(0), true));
    guest.control.send(u64Request("SET_FEATURES", 1n << 34n, true));
    guest.settle();
    expect(rig.lines("refused")).toHaveLength(5);
  });

  test("every request of the table, empty and full of ones, at any time: nothing ends the device", () => {
    for (const booted of [false, true]) {
      using rig = new DeviceRig();
      using guest = booted ? rig.frontEnd().boot() : rig.frontEnd();
      for (const row of FRONT_END_REQUESTS.values()) {
        for (const length of [0, 8, 16, 40, 72, 300]) {
          for (const byte of [0, 1, 0xff])
            guest.control.send(encodeRequest(row.request, new Uint8Array(length).fill(byte)));
        }
        rig.pump();
        for (let read = guest.control.poll(); read !== null; read = guest.control.poll())
          expect(read).not.toBe("closed");
      }
      expect(rig.device.state.connected).toBe(true);
      expect(rig.lines("refused")).toHaveLength(20);
      guest.disconnect();
      rig.pump();
      expect(rig.lines("more messages were refused")).toHaveLength(1);
    }
  });

  test("a flood of replies that nobody reads costs the connection, not the device", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    expect(() => {
      for (let i = 0; i < 100_000; i++) {
        guest.control.send(plainRequest("GET_FEATURES"));
        if (i % 100 === 0) rig.pump();
      }
    }).toThrow("sendmsg");
    rig.pump();
    expect(rig.lines("reply not sent")).toHaveLength(1);
    using next = rig.frontEnd();
    expect(decodeU64(next.control.ask(plainRequest("GET_QUEUE_NUM")))).toBe(2n);
  });
});

describe("guest memory", () => {
  test("a file that is sealed is said to be so, one that was cut before is refused", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    expect(rig.lines("guest memory: 1 regions, 16 MiB, not sealed")).toHaveLength(1);
    setFileSize(guest.ram.file.fd, 4096);
    const table = memoryTableRequest(guest.ram.table, true);
    setFileSize(guest.ram.file.fd, 8192);
    expect(guest.control.acknowledged(table, [guest.ram.file.fd])).toBe(1n);
    setFileSize(guest.ram.file.fd, 16 * 1024 * 1024);
    expect(guest.control.acknowledged(table, [guest.ram.file.fd])).toBe(0n);
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
    const stale = rig.windows.bytes.filter((bytes) => bytes.length === 16 * 1024 * 1024);
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
    expect(rig.windows.count).toBe(2);
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
});
