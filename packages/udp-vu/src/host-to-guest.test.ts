import { describe, expect, test } from "bun:test";
import {
  GATEWAY4,
  GATEWAY6,
  GUEST_LINK_LOCAL,
  GUEST_MAC,
  GUEST4,
  GUEST6,
  GuestFrame,
  OUR_MAC,
  SERVER6,
  sumOf,
  UdpHarness,
} from "./testing/harness.ts";
import { UdpCounter } from "./udp-counter.ts";

const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);
const v6 = { source: GUEST6, destination: SERVER6 };

function frames(h: UdpHarness): GuestFrame[] {
  h.sink.assertSettled();
  return h.sink.take().map((frame) => new GuestFrame(frame.bytes));
}

describe("replies", () => {
  test("a reply comes from the address and port that the guest used, with every header right", () => {
    for (const [source, destination] of [
      [GUEST4, GATEWAY4],
      [GUEST_LINK_LOCAL, GATEWAY6],
      [GUEST6, SERVER6],
    ]) {
      const h = new UdpHarness();
      h.send({ source, destination, sourcePort: 4321, destinationPort: 53 });
      h.reply(bytes(101));
      expect(h.turn()).toBe(false);
      const [frame, ...others] = frames(h);
      expect(others).toEqual([]);
      expect([...frame.bytes.subarray(0, 12)]).toEqual([...GUEST_MAC, ...OUR_MAC]);
      expect(frame.bytes.length).toBe(frame.l4At + 8 + 101);
      expect(frame.source).toEqual([...destination]);
      expect(frame.destination).toEqual([...source]);
      expect(frame.protocol).toBe(17);
      expect(frame.l4Length).toBe(109);
      expect(frame.view.getUint16(frame.l4At)).toBe(53);
      expect(frame.view.getUint16(frame.l4At + 2)).toBe(4321);
      expect(frame.view.getUint16(frame.l4At + 4)).toBe(109);
      expect(frame.payload).toEqual(bytes(101));
      expect(frame.checksumsRight).toBe(true);
      expect(frame.bytes[frame.v4 ? 22 : 21]).toBe(255);
    }
  });

  test("any length, over any layout of the guest's buffers", () => {
    for (const entryBytes of [
      [65562],
      [12, 1514],
      [26, 1514],
      [5, 21, 40, 1500],
      [66, 600],
      [100, 100, 100, 100],
      [128],
    ]) {
      for (const length of [0, 1, 3, 18, 1000, 3000, 65507]) {
        const h = new UdpHarness({ sink: { entryBytes, frameCapacity: 1, entryCapacity: 70_000 } });
        h.send();
        h.reply(bytes(length));
        h.turn();
        const [frame] = frames(h);
        expect(frame.payload).toEqual(bytes(length));
        expect(frame.checksumsRight).toBe(true);
      }
    }
  });

  test("the longest IPv6 datagram passes", () => {
    const h = new UdpHarness();
    h.send(v6);
    h.reply(bytes(65527));
    h.turn();
    const [frame] = frames(h);
    expect(frame.payload).toEqual(bytes(65527));
    expect(frame.checksumsRight).toBe(true);
  });

  test("statement 9: stale bytes in a slot never alter a checksum, at odd and even lengths", () => {
    for (const datagram of [{}, v6]) {
      for (let length = 0; length < 40; length++) {
        const sums = [0x00, 0xff].map((stale) => {
          const h = new UdpHarness();
          h.slotMemory.fill(stale);
          h.send(datagram);
          h.reply(bytes(length));
          h.turn();
          const [frame] = frames(h);
          expect(frame.checksumsRight).toBe(true);
          return frame.view.getUint16(frame.l4At + 6);
        });
        expect(sums[0]).toBe(sums[1]);
      }
    }
  });

  test("a checksum that computes to 0 is sent as 0xffff", () => {
    for (const datagram of [{}, v6]) {
      const h = new UdpHarness();
      h.send(datagram);
      h.reply(Uint8Array.of(0, 0));
      h.turn();
      const checksum = frames(h)[0].view.getUint16((datagram === v6 ? 54 : 34) + 6);
      // These two bytes make the sum 0xffff, whose complement is 0.
      h.reply(Uint8Array.of(checksum >> 8, checksum & 0xff));
      h.turn();
      const [frame] = frames(h);
      expect(frame.view.getUint16(frame.l4At + 6)).toBe(0xffff);
    }
  });

  test("a driver that completes checksums gets the pseudo-header's sum and is told where", () => {
    for (const [datagram, l4At] of [[{}, 34] as const, [v6, 54] as const]) {
      const h = new UdpHarness({ sink: { partialChecksum: true } });
      h.send(datagram);
      h.reply(bytes(77));
      h.turn();
      h.sink.assertSettled();
      const [frame] = h.sink.take();
      expect([frame.flags, frame.checksumStart, frame.checksumOffset, frame.gsoType]).toEqual([1, l4At, 6, 0]);
      const parsed = new GuestFrame(frame.bytes);
      const pseudo = sumOf(frame.bytes, l4At === 34 ? 26 : 22, l4At, 17 + 85);
      expect(parsed.view.getUint16(l4At + 6)).toBe(pseudo);
    }
  });

  test("a driver that does not gets flags 0", () => {
    const h = new UdpHarness();
    h.send();
    h.reply(bytes(77));
    h.turn();
    expect(h.sink.take()[0].flags).toBe(0);
  });
});

describe("staging", () => {
  test("statement 7: a receive that gives nothing reserves nothing", () => {
    for (const result of [-11, -104]) {
      const h = new UdpHarness();
      h.send();
      h.sockets.receiveResults.push(result);
      h.sockets.onReceive = () => expect(h.sink.reservedFrames).toBe(0);
      const { elements } = h.sink;
      h.engine.socketReady(h.newestFlow, 1, h.nowMs);
      h.turn();
      expect(h.sockets.receiveCalls).toBeGreaterThan(0);
      expect([h.sink.committedFrames, h.sink.refusals, h.sink.elements]).toEqual([0, 0, elements]);
      h.sink.assertSettled();
    }
  });

  test("a socket is read until it says that nothing more waits, and not again before its next event", () => {
    const h = new UdpHarness();
    h.send();
    for (let i = 0; i < 9; i++) h.sockets.arrive(100, { bytes: bytes(i) });
    h.engine.socketReady(h.newestFlow, 1, h.nowMs);
    expect(h.turn()).toBe(false);
    expect(frames(h).map((frame) => frame.payload.length)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(h.sockets.receiveCalls).toBe(3);
    h.turn();
    expect(h.sockets.receiveCalls).toBe(3);
    h.engine.socketReady(h.newestFlow, 2, h.nowMs);
    h.turn();
    expect(h.sockets.receiveCalls).toBe(3);
  });

  test("what finds no room stays, nothing more is received, and it goes when room comes", () => {
    const h = new UdpHarness({ sink: { elements: 2 } });
    h.send();
    for (let i = 0; i < 6; i++) h.sockets.arrive(100, { bytes: bytes(i) });
    h.engine.socketReady(h.newestFlow, 1, h.nowMs);
    expect(h.turn()).toBe(false);
    expect(h.engine.waitsForRoom).toBe(true);
    expect(h.sink.roomWanted).toBe(true);
    expect(frames(h).length).toBe(2);
    expect(h.sockets.waiting(100)).toBe(2);
    h.turn();
    expect(h.sockets.receiveCalls).toBe(1);
    h.sink.addElements(10);
    expect(h.turn()).toBe(false);
    expect(h.engine.waitsForRoom).toBe(false);
    expect(frames(h).map((frame) => frame.payload.length)).toEqual([2, 3, 4, 5]);
  });

  test("room that came just before the driver was asked is used at once", () => {
    const h = new UdpHarness({ sink: { elements: 0 } });
    h.send();
    h.reply(bytes(5));
    const { sink } = h;
    const wantRoom = sink.wantRoom.bind(sink);
    sink.wantRoom = (wanted) => {
      sink.addElements(1);
      return wantRoom(wanted);
    };
    h.turn();
    expect(h.engine.waitsForRoom).toBe(false);
    expect(frames(h).length).toBe(1);
  });

  test("without a ring, and longer than its buffers: dropped, counted, and the socket is drained", () => {
    const h = new UdpHarness({ sink: { ready: false, mergeable: false, entryBytes: [12, 1514] } });
    h.send();
    h.reply(bytes(5));
    h.turn();
    expect(h.engine.counters[UdpCounter.droppedNotReady]).toBe(1);
    h.sink.ready = true;
    h.reply(bytes(1473));
    h.reply(bytes(1472));
    h.turn();
    expect(h.engine.counters[UdpCounter.droppedTooLong]).toBe(1);
    expect(frames(h).map((frame) => frame.payload.length)).toEqual([1472]);
    expect(h.engine.waitsForRoom).toBe(false);
  });

  test("a cut datagram is dropped", () => {
    const h = new UdpHarness();
    h.send();
    h.sockets.arrive(100, { bytes: bytes(5), truncated: true });
    h.engine.socketReady(h.newestFlow, 1, h.nowMs);
    h.turn();
    expect(h.engine.counters[UdpCounter.droppedTruncated]).toBe(1);
    expect(frames(h)).toEqual([]);
  });

  test("a turn is bounded, and sockets take turns", () => {
    const h = new UdpHarness({ engine: { turnDatagrams: 8 } });
    h.send({ sourcePort: 1 });
    h.send({ sourcePort: 2 });
    for (const flow of [0, 1]) {
      for (let i = 0; i < 12; i++) h.sockets.arrive(100 + flow, { bytes: bytes(flow + 1) });
      h.engine.socketReady(h.sockets.opened[flow].flow, 1, h.nowMs);
    }
    expect(h.turn()).toBe(true);
    expect(frames(h).map((frame) => frame.payload.length)).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
    let turns = 1;
    while (h.turn()) turns++;
    expect(frames(h).length).toBe(16);
    expect(turns).toBe(3);
  });

  test("what is staged for a flow that ends is dropped, not given to the next flow of that number", () => {
    const h = new UdpHarness({ sink: { elements: 0 }, engine: { flowCapacity: 1 } });
    h.send({ sourcePort: 1 });
    h.reply(bytes(5));
    h.turn();
    h.engine.reset(h.nowMs);
    expect(h.engine.counters[UdpCounter.droppedFlowEnded]).toBe(1);
    h.send({ sourcePort: 2 });
    h.sink.addElements(5);
    h.turn();
    expect(frames(h)).toEqual([]);
  });

  test("discard drops one datagram that waits", () => {
    const h = new UdpHarness({ sink: { elements: 0 } });
    h.send();
    h.reply(bytes(0));
    h.reply(bytes(7));
    h.turn();
    expect([h.engine.discard(), h.engine.discard(), h.engine.discard()]).toEqual([42, 49, 0]);
  });

  test("a socket whose receives only fail is given up, without spinning", () => {
    const h = new UdpHarness();
    h.send();
    h.sockets.receiveResults.push(...new Array(50).fill(-9));
    h.engine.socketReady(h.newestFlow, 1, h.nowMs);
    expect(h.turn()).toBe(false);
    expect(h.sockets.receiveCalls).toBe(8);
    expect(h.sockets.closed).toEqual([100]);
    expect(h.engine.flowCount).toBe(0);
  });
});

test("statement 8: two engines that take turns do not disturb each other", () => {
  const a = new UdpHarness();
  const b = new UdpHarness({ sink: { partialChecksum: true } });
  a.input({ payload: bytes(5, 1), sourcePort: 1 });
  b.input({ payload: bytes(6, 2), sourcePort: 2, source: GUEST6, destination: SERVER6 });
  a.input({ payload: bytes(7, 3), sourcePort: 1 });
  b.engine.endBatch(b.nowMs);
  a.engine.endBatch(a.nowMs);
  expect(a.sockets.sent.map((datagram) => datagram.bytes)).toEqual([bytes(5, 1), bytes(7, 3)]);
  expect(b.sockets.sent.map((datagram) => datagram.bytes)).toEqual([bytes(6, 2)]);
  a.sockets.onReceive = () => {
    // In the middle of a receive of one, the other does everything.
    b.reply(bytes(9, 4));
    b.turn();
  };
  a.reply(bytes(8, 5));
  a.turn();
  expect(frames(a).map((frame) => [frame.payload, frame.checksumsRight])).toEqual([[bytes(8, 5), true]]);
  const [frame] = frames(b);
  expect(frame.payload).toEqual(bytes(9, 4));
  expect([a.engine.flowCount, b.engine.flowCount]).toEqual([1, 1]);
  expect(a.engine.counters[UdpCounter.datagramsToGuest]).toBe(1);
  expect(b.engine.counters[UdpCounter.bytesToGuest]).toBe(9);
});
