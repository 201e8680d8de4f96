import { describe, expect, test } from "bun:test";
import { ipv4Words } from "@passt-ts/address-map/address";
import { GUEST6, GuestFrame, type HarnessOptions, SERVER6, sumOf, UdpHarness } from "./testing/harness.ts";
import { UdpCounter } from "./udp-counter.ts";

const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);
const v6 = { source: GUEST6, destination: SERVER6 };
const TAKES_USO = { partialChecksum: true, udpSegmentationBytesMax4: 65550, udpSegmentationBytesMax6: 65550 };

/** The pieces of `data` of `size` bytes, the last one shorter. */
const cut = (data: Uint8Array, size: number): number[][] =>
  Array.from({ length: Math.ceil(data.length / size) }, (_, i) => [...data.subarray(i * size, (i + 1) * size)]);

function frames(h: UdpHarness): GuestFrame[] {
  h.sink.assertSettled();
  return h.sink.take().map((frame) => new GuestFrame(frame.bytes));
}

/** A flow that gets `data` as datagrams of `segmentBytes`, joined by the kernel. */
function receive(options: HarnessOptions, data: Uint8Array, segmentBytes: number, datagram = {}): UdpHarness {
  const h = new UdpHarness(options);
  h.send(datagram);
  h.sockets.arrive(h.newestSocket, { bytes: data, segmentBytes });
  h.engine.socketReady(h.newestFlow, 1, h.nowMs);
  h.turn();
  return h;
}

describe("joined by the kernel (UDP_GRO), one receive for all", () => {
  test.each([
    [4000, 1000],
    [4001, 1000],
    [1001, 1000],
    [65000, 1400],
    [7, 1],
  ])("%d bytes in datagrams of %d become a frame each, the last one shorter", (length, segmentBytes) => {
    for (const datagram of [{}, v6]) {
      const data = bytes(length);
      const h = receive({ sink: { frameCapacity: 128 } }, data, segmentBytes, datagram);
      const seen = frames(h);
      expect(seen.map(({ payload }) => [...payload])).toEqual(cut(data, segmentBytes));
      expect(seen.every(({ checksumsRight }) => checksumsRight)).toBe(true);
      expect([h.sockets.receiveCalls, h.engine.counters[UdpCounter.bytesToGuest]]).toEqual([1, length]);
      expect(h.engine.counters[UdpCounter.datagramsToGuest]).toBe(seen.length);
    }
  });

  test("one datagram that is said to have its own length, or none, is one", () => {
    for (const segmentBytes of [0, 900, 5000]) {
      const h = receive({}, bytes(900), segmentBytes);
      expect(frames(h).map(({ payload }) => payload.length)).toEqual([900]);
    }
    const empty = receive({}, bytes(0), 0);
    expect(frames(empty).map(({ payload }) => payload.length)).toEqual([0]);
  });

  test("what finds no room in the middle of a slot stays, and goes on there, no byte twice", () => {
    const data = bytes(10_500);
    const h = receive({ sink: { elements: 4 } }, data, 1000);
    expect([h.engine.waitsForRoom, frames(h).length]).toEqual([true, 4]);
    h.sink.addElements(3);
    h.turn();
    expect(frames(h).map(({ payload }) => [...payload])).toEqual(cut(data, 1000).slice(4, 7));
    h.sink.addElements(99);
    h.turn();
    expect(frames(h).map(({ payload }) => [...payload])).toEqual(cut(data, 1000).slice(7));
    expect(h.engine.waitsForRoom).toBe(false);
  });

  test("discard takes one datagram of them at a time; a flow that ends loses those that are left, counted", () => {
    const h = receive({ sink: { elements: 0 } }, bytes(2500), 1000);
    expect([h.engine.discard(), h.engine.discard()]).toEqual([1042, 1042]);
    h.sink.addElements(0);
    h.engine.reset(h.nowMs);
    expect([h.engine.counters[UdpCounter.droppedFlowEnded], h.engine.discard()]).toEqual([1, 0]);
    const all = receive({ sink: { elements: 0 } }, bytes(2500), 1000);
    expect([1, 2, 3, 4].map(() => all.engine.discard())).toEqual([1042, 1042, 542, 0]);
  });

  test("each that is dropped counts: without a ring, too long for the driver's buffers, cut", () => {
    const noRing = receive({ sink: { ready: false } }, bytes(2500), 1000);
    expect(noRing.engine.counters[UdpCounter.droppedNotReady]).toBe(3);
    const short = receive({ sink: { mergeable: false, entryBytes: [12, 600] } }, bytes(2500), 1000);
    expect(short.engine.counters[UdpCounter.droppedTooLong]).toBe(2);
    expect(frames(short).map(({ payload }) => payload.length)).toEqual([500]);
    const h = new UdpHarness();
    h.send();
    h.sockets.arrive(h.newestSocket, { bytes: bytes(2500), segmentBytes: 1000, truncated: true });
    h.engine.socketReady(h.newestFlow, 1, h.nowMs);
    h.turn();
    expect(h.engine.counters[UdpCounter.droppedTruncated]).toBe(3);
  });

  test("through a listener they make one flow", () => {
    const h = new UdpHarness();
    const listener = h.engine.addListener(7, 5353);
    const peer = { address: ipv4Words(0xc0000201), port: 4000 };
    h.sockets.arrive(7, { bytes: bytes(3000), segmentBytes: 1000, ...peer });
    h.engine.listenerReady(listener, 1, h.nowMs);
    h.turn();
    expect([frames(h).length, h.engine.flowCount]).toEqual([3, 1]);
  });

  test("a turn's bound counts datagrams, not receives", () => {
    const h = new UdpHarness({ engine: { turnDatagrams: 8 } });
    h.send();
    for (let i = 0; i < 8; i++) h.sockets.arrive(h.newestSocket, { bytes: bytes(400), segmentBytes: 100 });
    h.engine.socketReady(h.newestFlow, 1, h.nowMs);
    expect([h.turn(), frames(h).length]).toEqual([true, 16]);
  });
});

describe("a driver that takes them in one frame (GUEST_USO)", () => {
  test.each([
    ["IPv4", {}, 34],
    ["IPv6", v6, 54],
  ] as const)(
    "gets one over %s, with gso_size, headers of the whole and the pseudo-header's sum",
    (_, datagram, l4At) => {
      const data = bytes(4500);
      const h = receive({ sink: TAKES_USO }, data, 1000, datagram);
      h.sink.assertSettled();
      const [frame, ...rest] = h.sink.take();
      expect(rest).toEqual([]);
      expect([frame.gsoType, frame.gsoSize, frame.headerLength]).toEqual([5, 1000, l4At + 8]);
      expect([frame.flags, frame.checksumStart, frame.checksumOffset]).toEqual([1, l4At, 6]);
      const parsed = new GuestFrame(frame.bytes);
      expect([parsed.l4Length, parsed.view.getUint16(l4At + 4), [...parsed.payload]]).toEqual([4508, 4508, [...data]]);
      const pseudo = sumOf(frame.bytes, l4At === 34 ? 26 : 22, l4At, 17 + 4508);
      expect(parsed.view.getUint16(l4At + 6)).toBe(pseudo);
      expect(h.engine.counters[UdpCounter.datagramsToGuest]).toBe(5);
    },
  );

  test("as many whole datagrams as the frame may hold; what is left alone is plain", () => {
    const h = receive({ sink: { ...TAKES_USO, udpSegmentationBytesMax4: 42 + 2999 } }, bytes(5000), 1000);
    h.sink.assertSettled();
    const seen = h.sink.take().map(({ bytes: { length }, gsoSize }) => [length - 42, gsoSize]);
    expect(seen).toEqual([
      [2000, 1000],
      [2000, 1000],
      [1000, 0],
    ]);
  });

  test("never more than an IP packet holds", () => {
    const h = receive({ sink: { ...TAKES_USO, udpSegmentationBytesMax4: 1 << 20 } }, bytes(65536), 1024);
    h.sink.assertSettled();
    expect(h.sink.take().map((frame) => frame.bytes.length - 42)).toEqual([63 * 1024, 1024]);
  });

  test("of the other family, without partial checksums, or of one datagram: plain frames", () => {
    const other = { ...TAKES_USO, udpSegmentationBytesMax4: 0 };
    for (const sink of [other, { ...TAKES_USO, partialChecksum: false }]) {
      const h = receive({ sink }, bytes(3000), 1000);
      expect(h.sink.take().map(({ gsoType, gsoSize }) => [gsoType, gsoSize])).toEqual([0, 1, 2].map(() => [0, 0]));
    }
    const one = receive({ sink: TAKES_USO }, bytes(1000), 1000);
    expect(one.sink.take().map(({ gsoType }) => gsoType)).toEqual([0]);
  });

  test("whose buffers do not hold the joined frame after all gets each for itself", () => {
    const h = receive({ sink: { ...TAKES_USO, mergeable: false, entryBytes: [12, 1514] } }, bytes(3000), 1000);
    expect(h.sink.take().map((frame) => [frame.bytes.length - 42, frame.gsoType])).toEqual([
      [1000, 0],
      [1000, 0],
      [1000, 0],
    ]);
  });
});

test("unlike passt: a datagram that does not fit a buffer of a driver without mergeable ones is dropped and counted, not cut", () => {
  const h = new UdpHarness({ sink: { mergeable: false, entryBytes: [12, 1514] } });
  h.send();
  h.reply(bytes(3000));
  h.reply(bytes(1472));
  h.turn();
  expect(frames(h).map(({ payload }) => [...payload])).toEqual([[...bytes(1472)]]);
  expect(h.engine.counters[UdpCounter.droppedTooLong]).toBe(1);
});
