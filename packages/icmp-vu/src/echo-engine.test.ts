import { describe, expect, test } from "bun:test";
import { ipv4Words, loopback4, loopback6 } from "@passt-ts/address-map/address";
import { EchoCounter } from "./echo-counter.ts";
import { ErrorOrigin } from "./socket-error.ts";
import type { WaitingError } from "./testing/fake-echo-sockets.ts";
import {
  addressesOf,
  checksumsRight,
  EchoHarness,
  GATEWAY4,
  GATEWAY6,
  GUEST_MAC,
  GUEST4,
  GUEST6,
  OUR_MAC,
  SERVER4,
  SERVER6,
  sumOf,
} from "./testing/harness.ts";

const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);
const v6 = { source: GUEST6, destination: SERVER6 };

function frames(h: EchoHarness): Uint8Array[] {
  h.sink.assertSettled();
  return h.sink.take().map((frame) => frame.bytes);
}

describe("requests", () => {
  test("an echo request goes out with our header, the guest's sequence number and data, and no identifier of the guest", () => {
    const h = new EchoHarness();
    expect(h.ping({ identifier: 0x1234, sequence: 0x5678, data: bytes(56), slackBytes: 30 })).toBe(true);
    expect(h.ping({ ...v6, identifier: 0x1234, sequence: 9, data: bytes(5) })).toBe(true);
    expect(h.sockets.opened.map(({ ipVersion, address }) => [ipVersion, [...address]])).toEqual([
      [4, [...SERVER4]],
      [6, [...SERVER6]],
    ]);
    expect(h.sockets.sent.map((message) => [...message.bytes])).toEqual([
      [8, 0, 0, 0, 0, 0, 0x56, 0x78, ...bytes(56)],
      [128, 0, 0, 0, 0, 0, 0, 9, ...bytes(5)],
    ]);
  });

  test("a flow is the addresses and the identifier", () => {
    const h = new EchoHarness();
    h.ping({ identifier: 1, sequence: 1 });
    h.ping({ identifier: 1, sequence: 2 });
    h.ping({ identifier: 2, sequence: 1 });
    h.ping({ identifier: 1, destination: ipv4Words(0xc0000208) });
    expect(h.sockets.sent.map((message) => message.socket)).toEqual([100, 100, 101, 102]);
    expect(h.engine.flowCount).toBe(3);
  });

  test("what is no echo request is left to others; a bad request is dropped", () => {
    const h = new EchoHarness();
    for (const type of [0, 3, 11, 13]) expect(h.ping({ type })).toBe(false);
    for (const type of [1, 129, 133, 135]) expect(h.ping({ ...v6, type })).toBe(false);
    expect(h.ping({ code: 1 })).toBe(true);
    expect(h.ping({ hopLimit: 0 })).toBe(true);
    expect(h.engine.counters[EchoCounter.droppedMalformed]).toBe(2);
    expect(h.ping({ destination: ipv4Words(0xffffffff) })).toBe(true);
    expect(h.ping({ destination: ipv4Words(0xe0000001) })).toBe(true);
    expect(h.ping({ source: ipv4Words(0) })).toBe(true);
    expect(h.engine.counters[EchoCounter.droppedRefused]).toBe(3);
    expect(h.sockets.opened).toEqual([]);
  });

  test("any length and any split, more pieces than a system call takes too", () => {
    const h = new EchoHarness();
    const lengths = [0, 1, 1400, 65507];
    for (const length of lengths) h.ping({ data: bytes(length), slackBytes: 60 });
    for (let split = 0; split <= 42 + 9; split++) h.ping({ data: bytes(9), splits: [split] });
    h.ping({ data: bytes(1023), splits: Array.from({ length: 42 + 1023 }, (_, i) => i) });
    h.ping({ data: bytes(1024), splits: Array.from({ length: 42 + 1024 }, (_, i) => i) });
    const data = h.sockets.sent.map((message) => message.bytes.subarray(8));
    expect(data.slice(0, 4)).toEqual(lengths.map((length) => bytes(length)));
    for (const one of data.slice(4, -2)) expect(one).toEqual(bytes(9));
    expect(data.slice(-2)).toEqual([bytes(1023), bytes(1024)]);
    expect(h.engine.counters[EchoCounter.flattened]).toBe(1);
  });

  test("refused ping sockets are one warning with the sysctl line, and counted each time", () => {
    const h = new EchoHarness();
    h.sockets.openResults.push(-13, -1, -13);
    for (let i = 0; i < 3; i++) h.ping();
    expect(h.warnings.length).toBe(1);
    expect(h.warnings[0]).toContain('sysctl -w net.ipv4.ping_group_range="0 2147483647"');
    expect(h.engine.counters[EchoCounter.droppedNotPermitted]).toBe(3);
    expect(h.engine.flowCount).toBe(0);
    h.ping();
    expect(h.sockets.sent.length).toBe(1);
  });

  test("a full table, no descriptors, another failure, a failed send: dropped and counted", () => {
    const h = new EchoHarness({ engine: { flowCapacity: 1 } });
    h.sockets.openResults.push(-24, -97);
    h.ping();
    h.ping();
    h.sockets.sendResults.push(-90, -90, -11);
    h.ping();
    h.ping();
    h.ping({ identifier: 2 });
    expect(h.engine.counters[EchoCounter.droppedNoDescriptor]).toBe(1);
    expect(h.engine.counters[EchoCounter.droppedOpenFailed]).toBe(1);
    expect(h.engine.counters[EchoCounter.droppedSendFailed]).toBe(2);
    expect(h.engine.counters[EchoCounter.droppedFlowTableFull]).toBe(1);
    expect(h.warnings).toEqual([]);
  });

  test("the guest's TTL is copied to the socket when it changes", () => {
    const h = new EchoHarness();
    for (const hopLimit of [64, 1, 1, 2]) h.ping({ hopLimit });
    expect(h.sockets.hopLimits.map(({ hopLimit }) => hopLimit)).toEqual([1, 2]);
  });
});

describe("replies", () => {
  test("the gateway answers for the host's loopback, with the guest's identifier and a right checksum", () => {
    for (const [source, destination, host] of [
      [GUEST4, GATEWAY4, loopback4()],
      [GUEST6, GATEWAY6, loopback6()],
      [GUEST6, SERVER6, SERVER6],
    ]) {
      for (const length of [0, 1, 56, 1399, 65507]) {
        const h = new EchoHarness();
        h.ping({ source, destination, identifier: 0x1234, sequence: 0xfffe, data: bytes(length) });
        expect([...h.sockets.opened[0].address]).toEqual([...host]);
        h.answer(0, host);
        expect(h.turn()).toBe(false);
        const [frame, ...others] = frames(h);
        expect(others).toEqual([]);
        const at = source === GUEST4 ? 34 : 54;
        expect(frame.length).toBe(at + 8 + length);
        expect([...frame.subarray(0, 12)]).toEqual([...GUEST_MAC, ...OUR_MAC]);
        expect(addressesOf(frame)).toEqual([[...destination], [...source]]);
        expect([frame[at], frame[at + 1]]).toEqual([source === GUEST4 ? 0 : 129, 0]);
        expect([...frame.subarray(at + 4, at + 8)]).toEqual([0x12, 0x34, 0xff, 0xfe]);
        expect(frame.subarray(at + 8)).toEqual(bytes(length));
        expect(checksumsRight(frame)).toBe(true);
      }
    }
  });

  test("stale bytes of a slot never alter a checksum, and a checksum is complete whatever the driver takes", () => {
    for (const ping of [{}, v6]) {
      for (let length = 0; length < 20; length++) {
        const h = new EchoHarness({ sink: { partialChecksum: true } });
        h.slotMemory.fill(length % 2 === 0 ? 0xff : 0x5a);
        h.ping({ ...ping, data: bytes(length) });
        h.answer(0);
        h.turn();
        h.sink.assertSettled();
        const [frame] = h.sink.take();
        expect(frame.flags).toBe(0);
        expect(checksumsRight(frame.bytes)).toBe(true);
      }
    }
  });

  test("what is no reply to the request is dropped", () => {
    const h = new EchoHarness();
    h.ping();
    h.answer(0, ipv4Words(0x01020304));
    h.sockets.arrive(100, { bytes: bytes(7) });
    h.sockets.arrive(100, { bytes: Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 1) });
    h.sockets.arrive(100, { bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1), truncated: true });
    h.turn();
    expect(frames(h)).toEqual([]);
    expect(h.engine.counters[EchoCounter.droppedReply]).toBe(4);
  });

  test("a receive that gives nothing reserves nothing; what finds no room stays until there is some", () => {
    const h = new EchoHarness({ sink: { elements: 1 } });
    h.ping();
    h.engine.socketReady(h.sockets.opened[0].flow, 1, h.nowMs);
    h.turn();
    expect([h.sockets.receiveCalls, h.sink.refusals, h.sink.elements]).toEqual([1, 0, 1]);
    for (let i = 0; i < 6; i++) h.answer(0);
    h.turn();
    expect(h.engine.waitsForRoom).toBe(true);
    expect(h.sink.roomWanted).toBe(true);
    expect(h.sockets.receiveCalls).toBe(2);
    h.sink.addElements(9);
    expect(h.engine.discard()).toBe(14 + 20 + 11);
    h.turn();
    expect(h.engine.waitsForRoom).toBe(false);
    expect(frames(h).length).toBe(5);
  });

  test("without a ring, and longer than its buffers: dropped and counted", () => {
    const h = new EchoHarness({ sink: { ready: false, mergeable: false, entryBytes: [1526] } });
    h.ping({ data: bytes(1600) });
    h.answer(0);
    h.turn();
    h.sink.ready = true;
    h.answer(0);
    h.turn();
    expect(h.engine.counters[EchoCounter.droppedNotReady]).toBe(1);
    expect(h.engine.counters[EchoCounter.droppedTooLong]).toBe(1);
  });

  test("a turn is bounded, and a socket that only fails is given up", () => {
    const h = new EchoHarness({ engine: { turnReplies: 4 } });
    h.ping();
    for (let i = 0; i < 6; i++) h.answer(0);
    expect(h.turn()).toBe(true);
    expect(h.turn()).toBe(false);
    expect(frames(h).length).toBe(6);
    h.sockets.receiveResults.push(...new Array(20).fill(-9));
    h.engine.socketReady(h.sockets.opened[0].flow, 1, h.nowMs);
    while (h.turn()) {}
    expect(h.sockets.closed).toEqual([100]);
    expect(h.engine.flowCount).toBe(0);
  });
});

describe("time", () => {
  test("a flow ends 60 s after it was last used", () => {
    const h = new EchoHarness();
    h.ping();
    h.nowMs += 50_000;
    h.answer(0);
    h.turn();
    h.nowMs += 59_999;
    h.turn();
    expect(h.engine.flowCount).toBe(1);
    expect(h.engine.deadlineMs).toBeLessThanOrEqual(h.nowMs + 1);
    h.nowMs += 1;
    h.turn();
    expect(h.sockets.closed).toEqual([100]);
    expect(h.engine.deadlineMs).toBe(Number.POSITIVE_INFINITY);
    expect(h.engine.counters[EchoCounter.flowsExpired]).toBe(1);
  });

  test("reset closes every socket and drops what is staged", () => {
    const h = new EchoHarness({ sink: { elements: 0 } });
    h.ping();
    h.answer(0);
    h.turn();
    h.engine.reset(h.nowMs);
    expect(h.sockets.closed).toEqual([100]);
    expect(h.engine.counters[EchoCounter.droppedFlowEnded]).toBe(1);
    h.sink.addElements(5);
    h.ping();
    h.turn();
    expect(frames(h)).toEqual([]);
  });
});

describe("errors", () => {
  const EXPIRED: WaitingError = { errno: 113, origin: ErrorOrigin.icmp, type: 11, code: 0 };

  function fail(h: EchoHarness, error: WaitingError): void {
    h.sockets.fail(100, error);
    h.engine.socketReady(h.sockets.opened[0].flow, 4, h.nowMs);
    h.turn();
  }

  /** Request `index` as it was on the wire: the kernel's identifier and checksum in it. */
  function onWire(h: EchoHarness, index: number, pseudo = 0): Uint8Array {
    const request = h.sockets.sent[index].bytes.slice();
    const view = new DataView(request.buffer);
    view.setUint16(4, h.sockets.identifier(100));
    view.setUint16(2, ~sumOf(request, 0, request.length, pseudo) & 0xffff);
    return request;
  }

  test("an expired TTL is a time exceeded from the router, quoting the request with the guest's identifier", () => {
    const h = new EchoHarness();
    const router = ipv4Words(0xc6336401);
    h.ping({ identifier: 0x1234, sequence: 7, hopLimit: 2, data: bytes(11) });
    fail(h, { ...EXPIRED, offender: router, data: onWire(h, 0) });
    const [frame] = frames(h);
    expect(frame.length).toBe(14 + 20 + 8 + 20 + 8 + 11);
    expect(addressesOf(frame)).toEqual([[...router], [...GUEST4]]);
    expect([frame[34], frame[35]]).toEqual([11, 0]);
    expect(checksumsRight(frame)).toBe(true);
    const quote = frame.subarray(42);
    expect([sumOf(quote, 0, 20), quote[8], quote[9]]).toEqual([0xffff, 1, 1]);
    expect([...quote.subarray(12, 20)]).toEqual([10, 0, 0, 2, 192, 0, 2, 7]);
    expect(sumOf(quote, 20, quote.length)).toBe(0xffff);
    expect([quote[20], ...quote.subarray(24, 28)]).toEqual([8, 0x12, 0x34, 0, 7]);
    expect(quote.subarray(28)).toEqual(bytes(11));
  });

  test("an unreachable IPv6 host, told of by the host itself, comes from the peer", () => {
    const h = new EchoHarness();
    h.ping({ ...v6, data: bytes(3) });
    fail(h, { errno: 113, origin: ErrorOrigin.icmpv6, type: 1, code: 3, data: onWire(h, 0) });
    const [frame] = frames(h);
    expect(frame.length).toBe(14 + 40 + 8 + 40 + 8 + 3);
    expect(addressesOf(frame)).toEqual([[...SERVER6], [...GUEST6]]);
    expect([frame[54], frame[55], frame[62 + 40], frame[62 + 40 + 5]]).toEqual([1, 3, 128, 77]);
    expect(checksumsRight(frame)).toBe(true);
  });

  test("a long quote is cut at 576 bytes", () => {
    const h = new EchoHarness();
    h.ping({ data: bytes(1000) });
    fail(h, { ...EXPIRED, data: onWire(h, 0) });
    const [frame] = frames(h);
    expect(frame.length).toBe(14 + 576);
    expect(checksumsRight(frame)).toBe(true);
  });

  test("path MTU messages, local errors and such without a quote do not reach the guest", () => {
    const h = new EchoHarness();
    h.ping();
    const data = onWire(h, 0);
    fail(h, { ...EXPIRED, type: 3, code: 4, data });
    fail(h, { ...EXPIRED, origin: ErrorOrigin.local, data });
    fail(h, { ...EXPIRED, data: data.subarray(0, 7) });
    expect(frames(h)).toEqual([]);
    expect(h.engine.counters[EchoCounter.errorsIgnored]).toBe(3);
  });

  test("a request goes out though an error of an earlier one waits", () => {
    const h = new EchoHarness();
    h.ping({ sequence: 1 });
    h.sockets.fail(100, { ...EXPIRED, data: onWire(h, 0) });
    h.sockets.sendResults.push(-113);
    h.ping({ sequence: 2 });
    expect(h.sockets.sent.map((message) => message.bytes[7])).toEqual([1, 2]);
    h.turn();
    expect(frames(h).length).toBe(1);
  });

  test("no route is a network unreachable with a right quote", () => {
    const h = new EchoHarness();
    h.sockets.openResults.push(-101, -113);
    h.ping({ data: bytes(5) });
    h.ping({ ...v6, data: bytes(5) });
    const [first, second] = frames(h);
    expect([first[34], first[35], second[54], second[55]]).toEqual([3, 0, 1, 3]);
    expect([checksumsRight(first), checksumsRight(second)]).toEqual([true, true]);
    expect(sumOf(first, 62, first.length)).toBe(0xffff);
    expect([...first.subarray(62, 64), ...first.subarray(66)]).toEqual([8, 0, 0, 77, 0, 1, ...bytes(5)]);
  });

  test("the quote is the guest's request byte for byte, and ends with it, whoever reports the error", () => {
    for (const isLocal of [true, false]) {
      const four = new EchoHarness();
      four.changeFrame = (frame) => {
        frame.set([0xb8], 15);
        frame.set([0x12, 0x34, 0, 0, 64, 1, 0, 0], 18);
        const sum = ~sumOf(frame, 14, 34) & 0xffff;
        frame.set([sum >>> 8, sum & 255], 24);
      };
      const six = new EchoHarness();
      six.changeFrame = (frame) => frame.set([0x6b, 0x8a, 0xbc, 0xde], 14);
      const error = { errno: 113, origin: ErrorOrigin.icmp, type: 3, code: 1 };
      for (const [h, request, quoteAt] of [
        [four, { data: bytes(40), identifier: 0xabcd }, 42],
        [six, { ...v6, data: bytes(41), identifier: 0xabcd }, 62],
      ] as const) {
        if (isLocal) h.sockets.openResults.push(-101);
        h.ping(request);
        const v6Error = { ...error, origin: ErrorOrigin.icmpv6, type: 1, code: 3 };
        if (!isLocal) fail(h, { ...(h === four ? error : v6Error), data: onWire(h, 0) });
        const [frame] = frames(h);
        expect([...frame.subarray(quoteAt)]).toEqual([...h.sentFrame.subarray(14)]);
        expect(checksumsRight(frame)).toBe(true);
      }
    }
  });

  test("errors of our own come at a rate: 50 at once, then 1000 a second", () => {
    const h = new EchoHarness();
    const refuse = (count: number): number => {
      for (let i = 0; i < count; i++) {
        h.sockets.openResults.push(-101);
        h.ping();
      }
      return frames(h).length;
    };
    expect([refuse(60), h.engine.counters[EchoCounter.droppedError]]).toEqual([50, 10]);
    h.nowMs += 20;
    expect(refuse(60)).toBe(20);
  });

  test("a router that quotes only a part: the length is the guest's, and no byte stands behind what is known", () => {
    const h = new EchoHarness();
    h.ping({ data: bytes(500), hopLimit: 2 });
    fail(h, { ...EXPIRED, data: onWire(h, 0).subarray(0, 8) });
    const [frame] = frames(h);
    expect(frame.length).toBe(14 + 28 + 28);
    expect([frame[44] * 256 + frame[45], [...frame.subarray(62)]]).toEqual([528, [...h.sentFrame.subarray(34, 42)]]);
    expect(checksumsRight(frame)).toBe(true);
  });
});

test("unlike passt: two guests with one identifier each have a socket whose identifier the kernel chooses, and their own replies", () => {
  const guests = [new EchoHarness(), new EchoHarness()];
  for (const [i, h] of guests.entries()) h.ping({ identifier: 7, sequence: 3, data: bytes(5, i) });
  // Whatever identifiers there were on the wire: the replies carry the guest's.
  for (const [i, h] of guests.entries()) {
    h.answer(0);
    h.turn();
    const [frame] = frames(h);
    expect([...frame.subarray(38, 42), ...frame.subarray(42)]).toEqual([0, 7, 0, 3, ...bytes(5, i)]);
    // The sender leaves the identifier 0: what the socket's own is, the kernel fills in.
    expect([...h.sockets.sent[0].bytes.subarray(4, 6)]).toEqual([0, 0]);
  }
});

test("two engines do not disturb each other", () => {
  const a = new EchoHarness();
  const b = new EchoHarness();
  a.ping({ data: bytes(5, 1), identifier: 1 });
  b.ping({ ...v6, data: bytes(6, 2), identifier: 2 });
  a.answer(0);
  b.answer(0);
  b.turn();
  a.turn();
  expect(frames(a)[0].subarray(42)).toEqual(bytes(5, 1));
  expect(frames(b)[0].subarray(62)).toEqual(bytes(6, 2));
});
