import { expect, test } from "bun:test";
import { ipv4Words, loopback4 } from "@passt-ts/address-map/address";
import { ErrorOrigin } from "./socket-error.ts";
import type { WaitingError } from "./testing/fake-udp-sockets.ts";
import {
  GATEWAY4,
  GUEST4,
  GUEST6,
  type GuestDatagram,
  GuestFrame,
  SERVER4,
  SERVER6,
  sumOf,
  UdpHarness,
} from "./testing/harness.ts";
import { UdpCounter } from "./udp-counter.ts";

const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);
const REFUSED: WaitingError = { errno: 111, origin: ErrorOrigin.icmp, type: 3, code: 3 };

function fail(h: UdpHarness, ...errors: WaitingError[]): void {
  for (const error of errors) h.sockets.fail(h.newestSocket, error);
  h.engine.socketReady(h.newestFlow, 4, h.nowMs);
  h.turn();
}

function frames(h: UdpHarness): GuestFrame[] {
  h.sink.assertSettled();
  return h.sink.take().map((frame) => new GuestFrame(frame.bytes));
}

test("a closed port is a port unreachable from the peer that the guest knows, quoting what it sent and no byte more", () => {
  const h = new UdpHarness();
  h.send({ destination: GATEWAY4, sourcePort: 4000, destinationPort: 9, hopLimit: 61 });
  fail(h, { ...REFUSED, offender: loopback4(), data: bytes(3) });
  const [frame, ...others] = frames(h);
  expect(others).toEqual([]);
  expect(frame.bytes.length).toBe(14 + 20 + 8 + 20 + 8 + 3);
  expect(frame.l4Length).toBe(8 + 28 + 3);
  expect([frame.protocol, ...frame.source, ...frame.destination]).toEqual([1, ...GATEWAY4, ...GUEST4]);
  expect(frame.checksumsRight).toBe(true);
  expect([...frame.bytes.subarray(34, 36), ...frame.bytes.subarray(38, 42)]).toEqual([3, 3, 0, 0, 0, 0]);
  const quote = frame.bytes.subarray(42);
  expect(sumOf(quote, 0, 20)).toBe(0xffff);
  expect([quote[0], quote[8], quote[9]]).toEqual([0x45, 61, 17]);
  const view = new DataView(quote.buffer, quote.byteOffset);
  expect([view.getUint16(2), view.getUint32(12), view.getUint32(16)]).toEqual([31, GUEST4[3], GATEWAY4[3]]);
  expect([view.getUint16(20), view.getUint16(22), view.getUint16(24), view.getUint16(26)]).toEqual([4000, 9, 11, 0]);
  expect(quote.subarray(28)).toEqual(bytes(3));
});

test("the same over IPv6", () => {
  const h = new UdpHarness();
  h.send({ source: GUEST6, destination: SERVER6, sourcePort: 4000, destinationPort: 9 });
  fail(h, { errno: 111, origin: ErrorOrigin.icmpv6, type: 1, code: 4, offender: SERVER6, data: bytes(3) });
  const [frame] = frames(h);
  expect(frame.bytes.length).toBe(14 + 40 + 8 + 40 + 8 + 3);
  expect([frame.protocol, ...frame.source, ...frame.destination]).toEqual([58, ...SERVER6, ...GUEST6]);
  expect([frame.bytes[54], frame.bytes[55]]).toEqual([1, 4]);
  expect(frame.checksumsRight).toBe(true);
  const quote = new DataView(frame.bytes.buffer, frame.bytes.byteOffset + 62);
  expect([quote.getUint8(6), quote.getUint16(4), quote.getUint32(20), quote.getUint32(36)]).toEqual([17, 11, 2, 7]);
  expect([quote.getUint16(40), quote.getUint16(42), quote.getUint16(44)]).toEqual([4000, 9, 11]);
});

test("an expired TTL is a time exceeded from the router, so traceroute works", () => {
  const h = new UdpHarness();
  const router = ipv4Words(0xc6336401);
  h.send({ hopLimit: 3, destinationPort: 33434 });
  expect(h.sockets.hopLimits.length).toBe(1);
  fail(h, { errno: 113, origin: ErrorOrigin.icmp, type: 11, code: 0, offender: router });
  const [frame] = frames(h);
  expect(frame.source).toEqual([...router]);
  expect([frame.bytes[34], frame.bytes[35]]).toEqual([11, 0]);
  expect(frame.bytes.length).toBe(14 + 56);
  expect(frame.bytes[42 + 8]).toBe(1);
  expect(frame.checksumsRight).toBe(true);
});

test("a long quote is cut at 576 bytes of IPv4 and 1280 of IPv6, and its length fields tell of the original", () => {
  const h = new UdpHarness();
  h.send({ payload: bytes(5000) });
  fail(h, { ...REFUSED, data: bytes(1100) });
  const [frame] = frames(h);
  expect(frame.bytes.length).toBe(14 + 576);
  expect(frame.checksumsRight).toBe(true);
  expect([frame.view.getUint16(42 + 2), frame.view.getUint16(42 + 24)]).toEqual([5028, 5008]);
  const h6 = new UdpHarness();
  h6.send({ source: GUEST6, destination: SERVER6, payload: bytes(5000) });
  fail(h6, { errno: 111, origin: ErrorOrigin.icmpv6, type: 1, code: 4, data: bytes(5000) });
  const [frame6] = frames(h6);
  expect(frame6.bytes.length).toBe(14 + 1280);
  expect(frame6.checksumsRight).toBe(true);
});

test("a datagram goes out though an error of an earlier one waits, and the error reaches the guest", () => {
  const h = new UdpHarness();
  h.send({ payload: bytes(1) });
  h.sockets.fail(h.newestSocket, { ...REFUSED, offender: SERVER4 });
  h.sockets.sendResults.push(-111);
  h.send({ payload: bytes(2) });
  expect(h.sockets.sent.map((datagram) => datagram.bytes.length)).toEqual([1, 2]);
  h.turn();
  expect(frames(h).length).toBe(1);
  expect(h.engine.counters[UdpCounter.errorsToGuest]).toBe(1);
});

test("data and errors of one socket are both taken, many errors over several turns", () => {
  const h = new UdpHarness({ engine: { turnDatagrams: 16 } });
  h.send();
  h.sockets.arrive(h.newestSocket, { bytes: bytes(5) });
  fail(h, ...new Array(40).fill(REFUSED));
  expect(h.sink.committedFrames).toBe(16);
  while (h.turn()) {}
  expect(frames(h).length).toBe(41);
});

test("path MTU messages, local errors and such of the other family do not reach the guest", () => {
  const h = new UdpHarness();
  h.send();
  fail(
    h,
    { ...REFUSED, code: 4 },
    { ...REFUSED, type: 12, code: 0 },
    { ...REFUSED, origin: ErrorOrigin.local, type: 0, code: 0 },
    { ...REFUSED, origin: ErrorOrigin.icmpv6, type: 1, code: 4 },
  );
  expect(frames(h)).toEqual([]);
  expect(h.engine.counters[UdpCounter.errorsIgnored]).toBe(4);
});

test("an error that finds no room is dropped and counted", () => {
  const h = new UdpHarness({ sink: { elements: 0 } });
  h.send();
  fail(h, REFUSED);
  expect(h.engine.counters[UdpCounter.droppedError]).toBe(1);
  expect(h.engine.waitsForRoom).toBe(false);
});

test("a reply through a listener that failed is told of, with the flow found by its destination", () => {
  const h = new UdpHarness();
  const listener = h.engine.addListener(7, 8053);
  h.sockets.arrive(7, { bytes: bytes(1), address: loopback4(), port: 2222 });
  h.engine.listenerReady(listener, 1, h.nowMs);
  h.turn();
  frames(h);
  h.send({ destination: GATEWAY4, sourcePort: 8053, destinationPort: 2222 });
  h.sockets.fail(7, {
    ...REFUSED,
    offender: loopback4(),
    destination: loopback4(),
    destinationPort: 2222,
    data: bytes(3),
  });
  h.sockets.fail(7, { ...REFUSED, destination: loopback4(), destinationPort: 9999 });
  h.engine.listenerReady(listener, 4, h.nowMs);
  h.turn();
  const [frame, ...others] = frames(h);
  expect(others).toEqual([]);
  expect(frame.source).toEqual([...GATEWAY4]);
  expect([frame.view.getUint16(62), frame.view.getUint16(64)]).toEqual([8053, 2222]);
  expect(h.engine.counters[UdpCounter.errorsIgnored]).toBe(1);
});

test("no route to open a socket to is a network or host unreachable", () => {
  const h = new UdpHarness();
  h.sockets.openResults.push(-101, -113, -101, -113);
  h.send({ payload: bytes(9) });
  h.send();
  h.send({ source: GUEST6, destination: SERVER6 });
  h.send({ source: GUEST6, destination: SERVER6 });
  const seen = frames(h);
  expect(seen.map((frame) => [frame.bytes[frame.l4At], frame.bytes[frame.l4At + 1]])).toEqual([
    [3, 0],
    [3, 1],
    [1, 0],
    [1, 3],
  ]);
  for (const frame of seen) expect(frame.checksumsRight).toBe(true);
  expect(seen[0].bytes.subarray(70)).toEqual(bytes(9));
  expect(h.engine.flowCount).toBe(0);
});

/** Changes the newest frame that the harness sends before the engine sees it; the frame as it was sent. */
function sendChanged(h: UdpHarness, datagram: GuestDatagram, change: (frame: DataView) => void): Uint8Array {
  let sent = new Uint8Array(0);
  h.changeFrame = (frame) => {
    change(new DataView(frame.buffer, frame.byteOffset, frame.length));
    sent = frame.slice();
  };
  h.send(datagram);
  return sent;
}

test("unlike passt: the quote is the guest's datagram byte for byte, and ends with it", () => {
  const four = new UdpHarness();
  const sent4 = sendChanged(four, { payload: bytes(33), hopLimit: 7 }, (frame) => {
    frame.setUint8(15, 0xb8);
    frame.setUint32(18, 0xbeef4000);
    frame.setUint16(24, 0);
    frame.setUint16(24, ~sumOf(new Uint8Array(frame.buffer, frame.byteOffset), 14, 34) & 0xffff);
    const pseudo = sumOf(new Uint8Array(frame.buffer, frame.byteOffset), 26, 34, 17 + 41);
    frame.setUint16(40, ~sumOf(new Uint8Array(frame.buffer, frame.byteOffset), 34, 75, pseudo) & 0xffff);
  });
  fail(four, { ...REFUSED, offender: SERVER4, data: bytes(33) });
  expect(frames(four).map((frame) => [...frame.bytes.subarray(42)])).toEqual([[...sent4.subarray(14)]]);

  const six = new UdpHarness();
  const sent6 = sendChanged(six, { source: GUEST6, destination: SERVER6, payload: bytes(33) }, (frame) => {
    frame.setUint32(14, 0x6b8abcde);
    const pseudo = sumOf(new Uint8Array(frame.buffer, frame.byteOffset), 22, 54, 17 + 41);
    frame.setUint16(60, ~sumOf(new Uint8Array(frame.buffer, frame.byteOffset), 54, 95, pseudo) & 0xffff);
  });
  fail(six, { errno: 111, origin: ErrorOrigin.icmpv6, type: 1, code: 4, offender: SERVER6, data: bytes(33) });
  expect(frames(six).map((frame) => [...frame.bytes.subarray(62)])).toEqual([[...sent6.subarray(14)]]);
});

test("a router that quotes only a part: the lengths are the guest's, and the checksum, which is not known, is 0", () => {
  const h = new UdpHarness();
  sendChanged(h, { payload: bytes(500) }, (frame) => frame.setUint16(40, 0x1234));
  fail(h, { ...REFUSED, offender: SERVER4, data: bytes(20) });
  const [frame] = frames(h);
  expect(frame.bytes.length).toBe(14 + 28 + 28 + 20);
  expect([44, 66, 68].map((at) => frame.view.getUint16(at))).toEqual([528, 508, 0]);
  expect(frame.checksumsRight).toBe(true);
});

test("what no socket could be opened for is quoted byte for byte too", () => {
  const h = new UdpHarness();
  h.sockets.openResults.push(-101);
  const sent = sendChanged(h, { payload: bytes(5), hopLimit: 9 }, (frame) => {
    frame.setUint32(18, 0x12340000);
    frame.setUint16(24, 0);
    frame.setUint16(24, ~sumOf(new Uint8Array(frame.buffer, frame.byteOffset), 14, 34) & 0xffff);
  });
  expect(frames(h).map((frame) => [...frame.bytes.subarray(42)])).toEqual([[...sent.subarray(14)]]);
});

test("errors of our own come at a rate: 50 at once, then 1000 a second; those from elsewhere are passed on all", () => {
  const h = new UdpHarness();
  const refuse = (count: number): number => {
    for (let i = 0; i < count; i++) {
      h.sockets.openResults.push(-101);
      h.send();
    }
    return frames(h).length;
  };
  expect([refuse(60), h.engine.counters[UdpCounter.droppedError]]).toEqual([50, 10]);
  h.nowMs += 20;
  expect(refuse(60)).toBe(20);
  h.send();
  fail(h, ...new Array(10).fill(REFUSED));
  expect(frames(h).length).toBe(10);
});
