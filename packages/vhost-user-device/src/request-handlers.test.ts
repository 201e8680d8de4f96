import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { createEventFd } from "@passt-ts/linux/eventfd";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { decodeConfig, encodeConfig } from "@passt-ts/vhost-user-proto/config-payload";
import { featureBit } from "@passt-ts/vhost-user-proto/features";
import {
  configRequest,
  inflightRequest,
  logBaseRequest,
  memoryRegionRequest,
  memoryTableRequest,
  plainRequest,
  rarpRequest,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import { encodeMessage, encodeReply, encodeRequest } from "@passt-ts/vhost-user-proto/header";
import { encodeInflightArea, encodeU64, encodeVringState } from "@passt-ts/vhost-user-proto/payload";
import { FRONT_END_REQUESTS, PAYLOAD_SIZES, type RequestRow } from "@passt-ts/vhost-user-proto/requests";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const openFds = (): number => readdirSync("/proc/self/fd").length;

/** Everything that comes back for one message. */
function exchange(rig: DeviceRig, guest: TestFrontEnd, request: Uint8Array, fds: readonly number[] = []): number[] {
  guest.control.send(request, fds);
  rig.pump();
  const bytes = new Uint8Array(4096);
  const length = new UnixMessages().receive(guest.control.socket.fd, bytes, 0, bytes.length, new Int32Array(0));
  return length < 0 ? [] : [...bytes.subarray(0, length)];
}

const MAC = new Uint8Array([2, 0, 0, 1, 2, 3]);
const CONFIG = { macAddress: MAC, mtu: 65520 };

/** A request that is carried out: how it is built, and the payload of its own reply, or null when it has none. */
type Answered = readonly [build: (need: boolean) => Uint8Array, reply: Uint8Array | null, fds?: readonly number[]];

function answered(guest: TestFrontEnd, eventFd: number): readonly Answered[] {
  const { rx, ram } = guest;
  const state = (value: number) => ({ index: 0, value });
  const ringFd = { index: 0, hasFd: true };
  const slice = { offset: 0, flags: 0, contents: new Uint8Array(12) };
  const contents = new Uint8Array([...MAC, 1, 0, 1, 0, 0xf0, 0xff]);
  const inflight = (sizeBytes: bigint) => ({ sizeBytes, mmapOffset: 0n, ringCount: 2, ringSize: 256 });
  // Another one for each of the two times that each request is sent.
  const more = (need: boolean) => {
    const guestAddress = need ? 1n << 20n : 0n;
    return { guestAddress, userAddress: guestAddress, sizeBytes: 1n << 20n, mmapOffset: 0n };
  };
  return [
    [(need) => plainRequest("GET_FEATURES", need), encodeU64(guest.features | featureBit(26))],
    [(need) => u64Request("SET_FEATURES", guest.features, need), null],
    [(need) => plainRequest("SET_OWNER", need), null],
    [(need) => plainRequest("RESET_OWNER", need), null],
    [(need) => memoryTableRequest(ram.table, need), null, [ram.file.fd]],
    [(need) => vringStateRequest("SET_VRING_NUM", state(128), need), null],
    [(need) => vringAddressRequest(rx.address, need), null],
    [(need) => vringStateRequest("SET_VRING_BASE", state(77), need), null],
    [(need) => vringFdRequest("SET_VRING_KICK", ringFd, need), null, [rx.kickFd]],
    [(need) => vringFdRequest("SET_VRING_CALL", ringFd, need), null, [rx.callFd]],
    [(need) => vringFdRequest("SET_VRING_ERR", ringFd, need), null, [rx.errorFd]],
    [(need) => vringFdRequest("SET_VRING_ERR", { index: 0, hasFd: false }, need), null],
    [(need) => vringStateRequest("SET_VRING_ENABLE", state(1), need), null],
    [(need) => vringStateRequest("GET_VRING_BASE", state(0), need), encodeVringState(state(77))],
    [(need) => plainRequest("GET_PROTOCOL_FEATURES", need), encodeU64(0x1b23f)],
    [(need) => u64Request("SET_PROTOCOL_FEATURES", 0x1b23f, need), null],
    [(need) => plainRequest("GET_QUEUE_NUM", need), encodeU64(2)],
    [(need) => rarpRequest(MAC, need), null],
    [(need) => u64Request("NET_SET_MTU", 65520, need), null],
    [(need) => plainRequest("SET_BACKEND_REQ_FD", need), null, [eventFd]],
    [(need) => configRequest("GET_CONFIG", slice, need), encodeConfig({ ...slice, contents })],
    [(need) => configRequest("SET_CONFIG", { offset: 0, flags: 1, contents }, need), null],
    [(need) => u64Request("SET_STATUS", 11, need), null],
    [(need) => plainRequest("GET_STATUS", need), encodeU64(11)],
    [(need) => logBaseRequest({ sizeBytes: 65536n, mmapOffset: 4096n }, need), encodeU64(0), [ram.file.fd]],
    [(need) => plainRequest("SET_LOG_FD", need), null, [eventFd]],
    [(need) => inflightRequest("GET_INFLIGHT_FD", inflight(0n), need), encodeInflightArea(inflight(16512n))],
    [(need) => inflightRequest("SET_INFLIGHT_FD", inflight(16512n), need), null, [ram.file.fd]],
    [(need) => plainRequest("GET_MAX_MEM_SLOTS", need), encodeU64(512)],
    [(need) => memoryRegionRequest("ADD_MEM_REG", more(need), need), null, [ram.file.fd]],
    [(need) => memoryRegionRequest("REM_MEM_REG", more(need), need), null, [ram.file.fd]],
    [(need) => plainRequest("RESET_DEVICE", need), null],
  ];
}

const requestOf = (message: Uint8Array): number => message[0] ?? 0;

test("every request that is served: the reply byte for byte, asked for or not", () => {
  using rig = new DeviceRig({ config: CONFIG });
  using guest = rig.frontEnd().boot();
  using event = createEventFd();
  for (const [build, reply, fds] of answered(guest, event.fd)) {
    const request = requestOf(build(false));
    const own = reply === null ? [] : [...encodeReply(request, reply)];
    expect([request, exchange(rig, guest, build(false), fds)]).toEqual([request, own]);
    const status = reply === null ? [...encodeReply(request, encodeU64(0))] : own;
    expect([request, exchange(rig, guest, build(true), fds)]).toEqual([request, status]);
  }
  expect(rig.lines("refused")).toEqual([]);
});

/** Bytes and descriptors that the protocol takes for a request. */
function wellFormed(row: RequestRow, needReply: boolean, fd: number): [Uint8Array, number[]] {
  return [
    encodeRequest(row.request, new Uint8Array(PAYLOAD_SIZES[row.payload][0]), needReply),
    row.fds === "one" ? [fd] : [],
  ];
}

describe("every request that is not served is refused with its name, its descriptors closed", () => {
  for (const needReply of [false, true]) {
    test(needReply ? "answered non-zero" : "answered only where a reply is waited for", () => {
      using event = createEventFd();
      for (const row of FRONT_END_REQUESTS.values()) {
        using rig = new DeviceRig();
        using guest = rig.frontEnd().boot();
        if (answered(guest, event.fd).some(([build]) => requestOf(build(false)) === row.request)) continue;
        const before = openFds();
        const answer = exchange(rig, guest, ...wellFormed(row, needReply, event.fd));
        const empty = [...encodeReply(row.request, new Uint8Array(0))];
        const status = (value: number): number[] => [...encodeReply(row.request, encodeU64(value))];
        if (row.reply === "own") expect(answer).toEqual(row.replyPayload === "status" ? status(0x101) : empty);
        else expect(answer).toEqual(needReply ? status(1) : []);
        expect(rig.logged.at(-1)).toBe(`warning: refused ${row.name}: ${row.name} is not supported`);
        expect(openFds()).toBe(before);
        expect(rig.device.state.connected).toBe(true);
      }
    });
  }
});

describe("a request with a wrong value is answered non-zero, logged with the reason, and changes nothing", () => {
  const REGION = { guestAddress: 0n, sizeBytes: 65536n, userAddress: 0x10000n, mmapOffset: 0n };
  const ADDRESS = { index: 0, flags: 0, descriptors: 0x10000n, available: 0x11000n, used: 0x12000n, logAddress: 0n };
  /** What descriptors to send: of a small file, or of an event. */
  type With = "memory" | "event";
  const state = (name: "SET_VRING_NUM" | "SET_VRING_BASE" | "SET_VRING_ENABLE", index: number, value: number) =>
    vringStateRequest(name, { index, value }, true);
  const ringFd = (name: "SET_VRING_KICK" | "SET_VRING_CALL" | "SET_VRING_ERR", index: number) =>
    vringFdRequest(name, { index, hasFd: true }, true);
  const table = (...regions: (typeof REGION)[]) => memoryTableRequest(regions, true);
  const nine = Array.from({ length: 9 }, (_, i) => ({ ...REGION, guestAddress: BigInt(i) << 20n }));
  const WRONG: readonly [why: string, request: Uint8Array, ...fds: With[]][] = [
    ["SET_FEATURES: payload of 5000 bytes", encodeRequest(2, new Uint8Array(5000), true)],
    ["SET_FEATURES: payload of 7 bytes", encodeRequest(2, new Uint8Array(7), true)],
    ["features not offered: RING_PACKED", u64Request("SET_FEATURES", 1n << 34n, true)],
    ["protocol features not offered: SHMEM", u64Request("SET_PROTOCOL_FEATURES", 1n << 22n, true)],
    ["SET_OWNER: flags 0xd", encodeMessage(3, 13, new Uint8Array(0))],
    ["SET_OWNER: 2 file descriptors, 0 expected", plainRequest("SET_OWNER", true), "event", "event"],
    ["no ring 4", state("SET_VRING_NUM", 4, 256)],
    ["ring 0: size 0", state("SET_VRING_NUM", 0, 0)],
    ["ring 0: size 100", state("SET_VRING_NUM", 0, 100)],
    ["ring 0: size 65536", state("SET_VRING_NUM", 0, 65536)],
    ["no ring 4294967295", state("SET_VRING_BASE", 0xffffffff, 0)],
    ["ring 1: base 65536", state("SET_VRING_BASE", 1, 65536)],
    ["ring 1: enable 2", state("SET_VRING_ENABLE", 1, 2)],
    ["no ring 7", state("SET_VRING_ENABLE", 7, 1)],
    ["ring 0: descriptor table of 4096 bytes at 0x10000 is not mapped", vringAddressRequest(ADDRESS, true)],
    ["no ring 4", vringAddressRequest({ ...ADDRESS, index: 4 }, true)],
    ["no ring 200", ringFd("SET_VRING_KICK", 200), "event"],
    ["no ring 4", ringFd("SET_VRING_CALL", 4), "event"],
    ["no ring 5", ringFd("SET_VRING_ERR", 5), "event"],
    ["SET_VRING_CALL: 0 file descriptors, 1 expected", ringFd("SET_VRING_CALL", 1)],
    ["ring 1: the kick fd cannot be waited for", ringFd("SET_VRING_KICK", 1), "memory"],
    ["a region ends at byte 65537 of a file of 65536", table({ ...REGION, mmapOffset: 1n }), "memory"],
    ["a region ends at byte 65537 of a file of 65536", table({ ...REGION, sizeBytes: 65537n }), "memory"],
    ["end of the address space", table({ ...REGION, sizeBytes: 2n ** 64n - 1n, mmapOffset: 1n }), "memory"],
    ["user address", table({ ...REGION, userAddress: 1n << 60n }), "memory"],
    ["guest memory that is not a file", table(REGION), "event"],
    ["overlaps", table(REGION, { ...REGION, guestAddress: 4096n }), "memory", "memory"],
    ["memory region of 0 bytes", table({ ...REGION, sizeBytes: 0n }), "memory"],
    ["1 file descriptors, 2 expected", table(REGION, REGION), "memory"],
    ["9 memory regions, at most 8", table(...nine), ...nine.map((): With => "memory")],
    // The second one fails when the first is mapped already.
    [
      "of a file of 65536",
      table(REGION, { ...REGION, guestAddress: 1n << 32n, sizeBytes: 1n << 30n }),
      ...["memory" as const, "memory" as const],
    ],
    ["an MTU of 67", u64Request("NET_SET_MTU", 67n, true)],
    ["an MTU of 65536", u64Request("NET_SET_MTU", 65536n, true)],
    ["the configuration is read-only", configRequest("SET_CONFIG", { offset: 0, flags: 0, contents: MAC }, true)],
    ["config of 9 bytes in a payload of 18", encodeRequest(25, configPayload(0, 9, 6), true)],
    ["config bytes 250 to 258 lie behind the end", encodeRequest(25, configPayload(250, 8, 8), true)],
  ];
  for (const [why, request, ...fds] of WRONG) {
    test(why, () => {
      using rig = new DeviceRig({ echo: true, config: CONFIG });
      using guest = rig.frontEnd().boot();
      using memory = createMemoryFile("small", 65536);
      using event = createEventFd();
      const before = [rig.device.state, openFds(), rig.windows.count, rig.loop.count];
      const sent = fds.map((kind) => (kind === "memory" ? memory.fd : event.fd));
      expect(guest.control.acknowledged(request, sent)).toBe(1n);
      expect(rig.logged.at(-1)).toContain(why);
      expect(rig.device.counters[DeviceCounter.messagesRefused]).toBe(1);
      expect([rig.device.state, openFds(), rig.windows.count, rig.loop.count]).toEqual(before);
      guest.offerBuffers(1);
      guest.send(testFrame(60));
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(60));
    });
  }

  /** A config payload whose size field need not fit its contents. */
  function configPayload(offset: number, sizeBytes: number, contentBytes: number): Uint8Array {
    const payload = encodeConfig({ offset, flags: 1, contents: new Uint8Array(contentBytes) });
    new DataView(payload.buffer).setUint32(4, sizeBytes, true);
    return payload;
  }
});

describe("the configuration space", () => {
  const read = (guest: TestFrontEnd, offset: number, size: number): number[] => {
    const request = configRequest("GET_CONFIG", { offset, flags: 0, contents: new Uint8Array(size) });
    return [...decodeConfig(guest.control.ask(request)).contents];
  };

  test("is read in the slices that a front-end asks for", () => {
    using rig = new DeviceRig({ config: CONFIG });
    using guest = rig.frontEnd();
    expect(read(guest, 0, 12)).toEqual([...MAC, 1, 0, 1, 0, 0xf0, 0xff]);
    expect(read(guest, 10, 4)).toEqual([0xf0, 0xff, 0, 0]);
    expect(read(guest, 256, 0)).toEqual([]);
    expect(read(guest, 0, 256)).toHaveLength(256);
    expect(() => read(guest, 255, 2)).toThrow("GET_CONFIG was refused");
  });

  test("the reply is as long as the request, also when that asks for less than it has room for", () => {
    using rig = new DeviceRig({ config: CONFIG });
    using guest = rig.frontEnd();
    const payload = encodeConfig({ offset: 0, flags: 1, contents: new Uint8Array(20).fill(0xee) });
    new DataView(payload.buffer).setUint32(4, 6, true);
    const reply = [...guest.control.ask(encodeRequest(24, payload))];
    expect(reply).toEqual([0, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, ...MAC, ...new Array(14).fill(0xee)]);
  });

  test("NET_SET_MTU shows in it; live migration writes it; the next front-end finds it as it was", () => {
    using rig = new DeviceRig({ config: CONFIG });
    {
      using guest = rig.frontEnd();
      guest.negotiate();
      guest.request((need) => u64Request("NET_SET_MTU", 1500, need));
      expect(read(guest, 10, 2)).toEqual([0xdc, 0x05]);
      const contents = new Uint8Array([6, 5, 4]);
      guest.request((need) => configRequest("SET_CONFIG", { offset: 3, flags: 1, contents }, need));
      expect(read(guest, 0, 6)).toEqual([2, 0, 0, 6, 5, 4]);
    }
    rig.pump();
    using next = rig.frontEnd();
    expect(read(next, 0, 12)).toEqual([...MAC, 1, 0, 1, 0, 0xf0, 0xff]);
  });
});

test("SEND_RARP is logged with the address", () => {
  using rig = new DeviceRig();
  using guest = rig.frontEnd();
  guest.control.send(rarpRequest(new Uint8Array([0x52, 0x54, 0, 0xab, 2, 3])));
  guest.settle();
  expect(rig.lines("52:54:00:ab:02:03")).toHaveLength(1);
});

test("without REPLY_ACK need_reply means nothing, in a connection before it and in the one after it", () => {
  using rig = new DeviceRig();
  using guest = rig.frontEnd();
  expect(exchange(rig, guest, plainRequest("SET_OWNER", true))).toEqual([]);
  guest.negotiate({ protocolFeatures: ~featureBit(3) });
  expect(exchange(rig, guest, plainRequest("SET_OWNER", true))).toEqual([]);
  expect(exchange(rig, guest, encodeRequest(99, new Uint8Array(0), true))).toEqual([]);
  expect(exchange(rig, guest, u64Request("SET_FEATURES", 1n << 34n, true))).toEqual([]);
  // Answered at once: the message that negotiates it asks for an answer itself (User-Mode Linux).
  const negotiated = [...encodeReply(16, encodeU64(0))];
  expect(exchange(rig, guest, u64Request("SET_PROTOCOL_FEATURES", 0x8, true))).toEqual(negotiated);
  guest.disconnect();
  rig.pump();
  using next = rig.frontEnd();
  expect(exchange(rig, next, plainRequest("SET_OWNER", true))).toEqual([]);
});
