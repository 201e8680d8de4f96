import { expect, test } from "bun:test";
import { TcpCounter } from "./counters.ts";
import { SocketError } from "./socket-port.ts";
import { EngineRig, GUEST6, REMOTE6 } from "./testing/engine-rig.ts";
import { F } from "./testing/frames.ts";
import { type GuestEnd, openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

/** Segments of `sizes` bytes that continue `end`'s stream, without moving it. */
function segmentsOf(end: GuestEnd, payload: Uint8Array, sizes: readonly number[]): ReturnType<GuestEnd["segment"]>[] {
  let at = 0;
  return sizes.map((size) => {
    const segment = end.segment({ sequence: (end.next + at) >>> 0, payload: payload.subarray(at, at + size) });
    at += size;
    return segment;
  });
}

/** A connection whose socket has room for `bytes` bytes and whose peer reads nothing. */
function openFull(rig: EngineRig, bytes: number): GuestEnd {
  const end = openOutbound(rig);
  end.socket.drains = false;
  end.socket.sendBufferBytes = bytes;
  return end;
}

test("unlike passt: a batch in order goes to the socket with one send, wherever its frames are cut", () => {
  const layouts = [
    [1 << 20],
    [12 + 54, 1 << 20],
    [12 + 57, 1 << 20],
    [12, 14, 20, 8, 1000],
    [5, 0, 7],
    [12 + 54 + 100],
  ];
  for (const pieces of layouts) {
    const rig = new EngineRig({ pieces });
    const end = openOutbound(rig);
    const payload = pattern(1500);
    rig.input(...segmentsOf(end, payload, [500, 1, 999]));
    expect(end.socket.sent).toEqual([...payload]);
    expect(end.socket.sends).toBe(1);
    expect(rig.take()).toMatchObject([{ flags: F.ack, acknowledgment: end.next + 1500, payload: [] }]);
  }
});

test("more than 1024 entries go in several sends", () => {
  const rig = new EngineRig({ pieces: [1] });
  const end = openOutbound(rig);
  const payload = pattern(2500);
  rig.input(...segmentsOf(end, payload, [1000, 1000, 500]));
  expect(end.socket.sent).toEqual([...payload]);
  expect(end.socket.sends).toBe(3);
});

test("of several sends, one that is short ends them, and only what was taken counts", () => {
  const rig = new EngineRig({ pieces: [1] });
  const end = openOutbound(rig);
  const payload = pattern(2500);
  // The first send takes its 1024 entries, the second one does not, and a third one would have room again.
  const { send } = rig.sockets;
  rig.sockets.send = (...args) => {
    end.socket.sendBytesMax = end.socket.sends === 1 ? 476 : Infinity;
    return send.apply(rig.sockets, args);
  };
  rig.input(...segmentsOf(end, payload, [1000, 1000, 500]));
  expect(end.socket.sent).toEqual([...payload.subarray(0, 1500)]);
  expect(rig.engine.counters[TcpCounter.bytesRefused]).toBe(1000);
  expect(rig.take().at(-1)).toMatchObject({ acknowledgment: end.next + 1500 });
});

test("flows that alternate within a batch do not mix, and each gets one send", () => {
  const rig = new EngineRig();
  const a = openOutbound(rig, { sourcePort: 1 });
  const b = openOutbound(rig, { sourcePort: 2, sequence: 77 });
  const ofA = segmentsOf(a, pattern(300), [100, 200]);
  const ofB = segmentsOf(b, pattern(70, 900), [30, 40]);
  rig.input(ofA[0], ofB[0], ofA[1], ofB[1]);
  expect([a.socket.sent, b.socket.sent]).toEqual([[...pattern(300)], [...pattern(70, 900)]]);
  expect([a.socket.sends, b.socket.sends]).toEqual([1, 1]);
});

test("a batch larger than the pools goes out in parts, in order", () => {
  for (const engine of [{ batchSegments: 2 }, { batchEntries: 4 }]) {
    const rig = new EngineRig({ engine, pieces: [300] });
    const end = openOutbound(rig);
    rig.input(...segmentsOf(end, pattern(2500), [500, 500, 500, 500, 500]));
    expect(end.socket.sent).toEqual([...pattern(2500)]);
    expect(rig.take()).toMatchObject([{ acknowledgment: end.next + 2500 }]);
  }
});

test("when a part of a batch is refused, the segments behind it are out of order", () => {
  const rig = new EngineRig({ engine: { batchSegments: 1 } });
  const end = openOutbound(rig);
  end.socket.sendBytesMax = 60;
  rig.input(...segmentsOf(end, pattern(300), [100, 100, 100]));
  expect(end.socket.sent).toEqual([...pattern(60)]);
  expect(rig.take().at(-1)).toMatchObject({ acknowledgment: end.next + 60 });
});

test("a frame of more entries than the pool has is dropped and counted", () => {
  const rig = new EngineRig({ engine: { batchEntries: 8 }, pieces: [10] });
  const end = openOutbound(rig);
  rig.input(end.segment({ payload: pattern(200) }));
  expect(rig.engine.counters[TcpCounter.malformed]).toBe(1);
  end.send(pattern(40));
  expect(end.socket.sent).toEqual([...pattern(40)]);
});

test("payload out of order is dropped; the gap is reported once, with two equal acknowledgments", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const [first, second, third] = segmentsOf(end, pattern(300), [100, 100, 100]);
  rig.input(second);
  const reports = rig.take();
  expect(reports).toMatchObject([{ acknowledgment: end.next }, { acknowledgment: end.next }]);
  expect(reports[0].window).toBe(reports[1].window);
  rig.input(third, second);
  expect(rig.take()).toEqual([]);
  expect(end.socket.sent).toEqual([]);
  expect(rig.engine.counters[TcpCounter.outOfOrder]).toBe(3);
  rig.input(first);
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next + 100 }]);
  rig.input(third);
  expect(rig.take().length).toBe(2);
  rig.input(second, third);
  expect(end.socket.sent).toEqual([...pattern(300)]);
});

test("what was seen before is trimmed off", () => {
  const rig = new EngineRig({ pieces: [12 + 54 + 30, 11] });
  const end = openOutbound(rig);
  const payload = pattern(400);
  rig.input(end.segment({ payload: payload.subarray(0, 100) }), end.segment({ payload: payload.subarray(0, 250) }));
  rig.input(end.segment({ sequence: end.next + 200, payload: payload.subarray(200) }));
  expect(end.socket.sent).toEqual([...payload]);
  expect(rig.take().at(-1)).toMatchObject({ acknowledgment: end.next + 400 });
});

test("old payload, a keepalive and a window probe are answered and go nowhere", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  end.send(pattern(100));
  rig.take();
  for (const fields of [{ sequence: end.next - 100, payload: pattern(100) }, { sequence: end.next - 1 }]) {
    rig.input(end.segment(fields));
    expect(rig.take()).toMatchObject([{ flags: F.ack, acknowledgment: end.next, payload: [] }]);
  }
  rig.input(end.segment({ sequence: end.next - 1, payload: [255] }));
  expect(rig.take().length).toBe(1);
  expect(end.socket.sent).toEqual([...pattern(100)]);
  expect(rig.engine.counters[TcpCounter.duplicate]).toBe(3);
});

test("a segment without ACK is dropped; a segment with options in front of its payload is not", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ flags: F.psh, payload: [9] }));
  expect([end.socket.sent, rig.take()]).toEqual([[], []]);
  rig.input(end.segment({ payload: [1, 2], options: [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0] }));
  expect(end.socket.sent).toEqual([1, 2]);
});

test("a short send is acknowledged as far as it went, with a closed window; writable asks for the rest", () => {
  const rig = new EngineRig();
  const end = openFull(rig, 100);
  end.socket.unacknowledgedBytes = 0;
  const payload = pattern(300);
  rig.input(end.segment({ payload }));
  end.socket.unacknowledgedBytes = 0;
  expect(end.socket.sent).toEqual([...payload.subarray(0, 100)]);
  const answers = [...rig.take(), ...rig.pass(10)];
  expect(answers.at(-1)).toMatchObject({ acknowledgment: end.next + 100, window: 0 });
  end.socket.sendBufferBytes = 5000;
  rig.sockets.drain(end.socket);
  const wakeUp = rig.settle();
  expect(wakeUp.length).toBe(4);
  for (const segment of wakeUp) expect(segment).toEqual({ ...wakeUp[0], frame: segment.frame });
  expect(wakeUp[0].window).toBeGreaterThan(0);
  rig.input(end.segment({ sequence: end.next + 100, payload: payload.subarray(100) }));
  expect(end.socket.sent).toEqual([...payload]);
});

test("a send buffer without any room takes nothing: the same acknowledgment, window 0, and nothing is lost", () => {
  const rig = new EngineRig();
  const end = openFull(rig, 0);
  rig.input(end.segment({ payload: [1, 2, 3] }));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next, window: 0 }]);
  expect(rig.engine.deadlineMs).toBe(Infinity);
  // A guest's probe of the closed window is answered.
  rig.input(end.segment({ sequence: end.next - 1 }));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next, window: 0 }]);
  end.socket.sendBufferBytes = 1 << 16;
  rig.sockets.drain(end.socket);
  expect(rig.settle().length).toBe(4);
  end.send([1, 2, 3]);
  expect(end.socket.sent).toEqual([1, 2, 3]);
});

test("sequence numbers of the guest wrap across 2^32, within a segment and between two", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { sequence: 0xffff_ff00 });
  const payload = pattern(700);
  rig.input(...segmentsOf(end, payload, [100, 300, 300]));
  expect(end.socket.sent).toEqual([...payload]);
  expect(rig.take()).toMatchObject([{ acknowledgment: (end.next + 700) >>> 0 }]);
  rig.input(end.segment({ sequence: (end.next + 100) >>> 0, payload: pattern(800, 100) }));
  expect(end.socket.sent).toEqual([...pattern(900)]);
});

test("IPv6 payload of 61,440 bytes in one frame", () => {
  const rig = new EngineRig({ pieces: [12, 74, 4096] });
  const addresses = { source: GUEST6, destination: REMOTE6 };
  const end = openOutbound(rig, { ...addresses, options: synOptions(61440, 7) });
  end.send(pattern(61440));
  expect(end.socket.sent).toEqual([...pattern(61440)]);
  expect(rig.take()).toMatchObject([{ ipVersion: 6, acknowledgment: end.next }]);
});

test("FIN behind payload: the socket gets all, is shut down for writing, and the FIN is acknowledged", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ payload: [1, 2, 3], flags: F.ack | F.fin }));
  expect([end.socket.sent, end.socket.writeShut]).toEqual([[1, 2, 3], true]);
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next + 4 }]);
  // The same once more, and payload where none can be.
  rig.input(end.segment({ payload: [1, 2, 3], flags: F.ack | F.fin }));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next + 4 }]);
  rig.input(end.segment({ sequence: end.next + 4, payload: [7, 7] }));
  expect(end.socket.sent).toEqual([1, 2, 3]);
  expect(rig.engine.flowCount).toBe(1);
});

test("FIN is taken only with everything in front of it", () => {
  const rig = new EngineRig();
  const end = openFull(rig, 2);
  rig.input(end.segment({ sequence: end.next + 3, flags: F.ack | F.fin }));
  rig.input(end.segment({ payload: [1, 2, 3], flags: F.ack | F.fin }));
  expect([end.socket.sent, end.socket.writeShut]).toEqual([[1, 2], false]);
  end.socket.sendBufferBytes = 100;
  rig.input(end.segment({ sequence: end.next + 2, payload: [3], flags: F.ack | F.fin }));
  expect([end.socket.sent, end.socket.writeShut]).toEqual([[1, 2, 3], true]);
});

test("half closed by the guest: the host still sends, and the guest still acknowledges", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ flags: F.ack | F.fin }));
  rig.take();
  end.next++;
  rig.sockets.push(end.socket, pattern(2000));
  const seen = rig.settle();
  expect(seen.flatMap((segment) => segment.payload)).toEqual([...pattern(2000)]);
  for (const segment of seen) expect(segment.acknowledgment).toBe(end.next);
  end.acknowledge(2000);
  rig.sockets.end(end.socket);
  expect(rig.settle()).toMatchObject([{ flags: F.fin | F.ack, sequence: end.expected }]);
  end.acknowledge(1);
  expect([rig.engine.flowCount, end.socket.state]).toEqual([0, "closed"]);
});

test("half closed by the host: the guest still sends", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.end(end.socket);
  expect(rig.settle()).toMatchObject([{ flags: F.fin | F.ack }]);
  end.acknowledge(1);
  end.send(pattern(500));
  end.send(pattern(500, 500));
  expect(end.socket.sent).toEqual([...pattern(1000)]);
  expect(rig.engine.flowCount).toBe(1);
  rig.take();
  rig.input(end.segment({ flags: F.ack | F.fin }));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next + 1 }]);
  expect([rig.engine.flowCount, end.socket.state]).toEqual([0, "closed"]);
});

test("a peer that reads no more: payload is acknowledged and discarded", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  end.socket.writeShut = true;
  end.send(pattern(100));
  expect(rig.take()).toMatchObject([{ flags: F.ack, acknowledgment: end.next }]);
  expect(end.socket.sent).toEqual([]);
});

test("a send that fails resets both sides", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  end.socket.error = SocketError.connectionReset;
  const { next } = end;
  end.send(pattern(100));
  expect(rig.take()).toMatchObject([{ flags: F.rst | F.ack, sequence: end.expected, acknowledgment: next }]);
  expect([end.socket.state, rig.engine.flowCount]).toEqual(["reset", 0]);
  expect(rig.engine.counters[TcpCounter.resetByHost]).toBe(1);
});
