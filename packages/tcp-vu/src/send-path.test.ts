import { expect, test } from "bun:test";
import { TcpCounter } from "./counters.ts";
import { SocketError, SocketEvent } from "./socket-port.ts";
import { EngineRig, type EngineRigOptions, GUEST6, REMOTE6 } from "./testing/engine-rig.ts";
import { F, type SeenSegment } from "./testing/frames.ts";
import { openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

const payloadOf = (segments: readonly SeenSegment[]): number[] => segments.flatMap((segment) => segment.payload);
const lengthsOf = (segments: readonly SeenSegment[]): number[] => segments.map((segment) => segment.payload.length);

/** A rig whose initial sequence number for the default flow lies `before` numbers in front of 2^32. */
function rigBeforeWrap(before: number, options: EngineRigOptions = {}): EngineRig {
  const { isn } = openOutbound(new EngineRig());
  const rig = new EngineRig(options);
  rig.nowMs += ((0x1_0000_0000 - before - isn) >>> 0) / 31_250;
  return rig;
}

test("payload is cut into segments of the guest's MSS, the last one shorter and pushed, with one peek", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const peeks = end.socket.peeks;
  rig.sockets.push(end.socket, pattern(3000));
  const seen = rig.settle();
  expect(lengthsOf(seen)).toEqual([1460, 1460, 80]);
  expect(payloadOf(seen)).toEqual([...pattern(3000)]);
  expect(seen.map((segment) => segment.flags)).toEqual([F.ack, F.ack, F.ack | F.psh]);
  expect(seen.map((segment) => segment.sequence - end.expected)).toEqual([0, 1460, 2920]);
  expect(end.socket.peeks - peeks).toBe(1);
});

test("a guest without MSS gets 536 bytes a segment; one with more than the link carries gets what that carries", () => {
  for (const [options, mss] of [
    [[], 536],
    [synOptions(65535), 65480],
    [synOptions(1), 64],
  ] as const) {
    const rig = new EngineRig();
    const end = openOutbound(rig, { options, window: 65535 });
    rig.sockets.push(end.socket, pattern(65535));
    const seen = rig.settle();
    expect(seen[0].payload.length).toBe(mss);
    expect(Math.max(...lengthsOf(seen))).toBe(mss);
  }
});

test("over IPv6 a segment leaves room for the longer header", () => {
  const rig = new EngineRig();
  const addresses = { source: GUEST6, destination: REMOTE6 };
  const end = openOutbound(rig, { ...addresses, options: synOptions(65535), window: 65535 });
  rig.sockets.push(end.socket, pattern(65535));
  expect(rig.settle()[0].payload.length).toBe(65460);
});

test("with an MTU of 65520, frames of 61,440 bytes of payload, in buffers of every layout", () => {
  const layouts = [[65562], [12, 1514], [26, 1514], [5, 21, 40, 1500], [66, 600], [100, 100, 100, 100], [128]];
  for (const entryBytes of layouts) {
    const rig = new EngineRig({ sink: { entryBytes } });
    const end = openOutbound(rig, { options: synOptions(61440, 7) });
    rig.sockets.push(end.socket, pattern(70_000));
    const seen = [];
    for (let got = 0; got < 70_000; ) {
      const segments = rig.settle();
      if (segments.length === 0) throw new Error(`the flow stalled after ${got} bytes`);
      seen.push(...segments);
      got += payloadOf(segments).length;
      end.acknowledge(payloadOf(segments).length);
    }
    expect(payloadOf(seen)).toEqual([...pattern(70_000)]);
    expect(Math.max(...lengthsOf(seen))).toBeGreaterThan(61_439 * (entryBytes[0] === 128 ? 0.5 : 1));
  }
});

test("IPv6 segments, with a partial checksum when the driver completes it", () => {
  for (const partialChecksum of [false, true]) {
    const rig = new EngineRig({ sink: { partialChecksum } });
    const end = openOutbound(rig, { source: GUEST6, destination: REMOTE6, options: synOptions(1440) });
    rig.sockets.push(end.socket, pattern(2001));
    const seen = rig.settle();
    expect(lengthsOf(seen)).toEqual([1440, 561]);
    expect(payloadOf(seen)).toEqual([...pattern(2001)]);
    for (const { frame } of seen) expect(frame.flags).toBe(partialChecksum ? 1 : 0);
  }
});

test("payload stays in the kernel until it is acknowledged, and leaves as far as it is", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(4000));
  rig.settle();
  expect(end.socket.queue.length).toBe(4000);
  end.acknowledge(1460);
  expect(end.socket.queue).toEqual([...pattern(4000).subarray(1460)]);
  end.acknowledge(1);
  expect(end.socket.queue.length).toBe(2539);
  end.acknowledge(2539);
  expect([end.socket.queue, rig.settle()]).toEqual([[], []]);
  expect(rig.engine.deadlineMs).toBe(Infinity);
});

test("a short peek ends the last frame, and the sequence goes on by what was really received", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.limitPeeks(end.socket, 2000);
  rig.sockets.push(end.socket, pattern(5000));
  const seen = rig.settle();
  expect(payloadOf(seen)).toEqual([...pattern(5000)]);
  let next = end.expected;
  for (const segment of seen) {
    expect(segment.sequence).toBe(next);
    next = (next + segment.payload.length) >>> 0;
  }
});

test("a peer that has ended is read until the end, though a peek was short", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(100));
  rig.sockets.end(end.socket);
  const seen = rig.settle();
  expect(payloadOf(seen)).toEqual([...pattern(100)]);
  expect(seen[seen.length - 1].flags & F.fin).toBe(F.fin);
});

test("a writable event that nobody waits for asks the kernel nothing", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.settle();
  const looks = end.socket.looks;
  rig.engine.socketReady(0, SocketEvent.writable, rig.nowMs);
  expect([rig.settle(), end.socket.looks]).toEqual([[], looks]);
});

test("a guest that only acknowledges a stream costs no look at the send buffer; one that sends does", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(4380));
  rig.settle();
  end.acknowledge(1460);
  rig.settle();
  const { looks } = end.socket;
  end.acknowledge(1460);
  end.acknowledge(1460);
  rig.settle();
  expect(end.socket.looks).toBe(looks);
  end.send(pattern(10));
  rig.settle();
  expect(end.socket.looks).toBeGreaterThan(looks);
});

test("the guest's window bounds what is in flight; each acknowledgment lets more out", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 4000 });
  rig.sockets.push(end.socket, pattern(10_000));
  // Whole segments only: what is left of the window is smaller than one.
  const first = rig.settle();
  expect(lengthsOf(first)).toEqual([1460, 1460]);
  expect(rig.engine.counters[TcpCounter.waitsForWindow]).toBe(1);
  end.acknowledge(2920);
  const second = rig.settle();
  expect(payloadOf([...first, ...second])).toEqual([...pattern(5840)]);
  expect(end.socket.peekOffset).toBe(2920);
});

test("a window smaller than a segment is filled all the same", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 100 });
  rig.sockets.push(end.socket, pattern(250));
  expect(lengthsOf(rig.settle())).toEqual([100]);
  end.acknowledge(100);
  expect(lengthsOf(rig.settle())).toEqual([100]);
  end.acknowledge(100);
  expect(lengthsOf(rig.settle())).toEqual([50]);
});

test("a segment shorter than the MSS may follow when it is half of the largest window", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 1000 });
  rig.sockets.push(end.socket, pattern(300));
  expect(lengthsOf(rig.settle())).toEqual([300]);
  rig.sockets.push(end.socket, pattern(1000, 300));
  expect(lengthsOf(rig.settle())).toEqual([700]);
});

test("the guest's window is scaled as its SYN said, but not in the SYN itself", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { options: synOptions(1000, 4), window: 500 });
  rig.sockets.push(end.socket, pattern(20_000));
  expect(payloadOf(rig.settle()).length).toBe(8000);
});

test("an old segment does not set the window", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 4000 });
  end.send([1]);
  end.send([2]);
  rig.input(end.segment({ sequence: end.next - 2, window: 65535 }));
  rig.take();
  rig.sockets.push(end.socket, pattern(10_000));
  expect(payloadOf(rig.settle()).length).toBe(2920);
});

test("a segment that sends again sets the window when it acknowledges something new", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 4000 });
  rig.sockets.push(end.socket, pattern(10_000));
  expect(payloadOf(rig.settle()).length).toBe(2920);
  rig.input(end.segment({ sequence: end.next + 1000 }));
  rig.input(end.segment({ acknowledgment: end.expected + 2920, window: 1000, payload: pattern(500) }));
  expect(payloadOf(rig.settle()).length).toBe(1000);
});

test("window blocked: no peek until the guest acknowledges, and no turn spins", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 1460 });
  rig.sockets.push(end.socket, pattern(5000));
  rig.settle();
  const { peeks } = end.socket;
  for (let i = 0; i < 5; i++) {
    rig.sockets.push(end.socket, [i]);
    expect([rig.settle(), rig.turns]).toEqual([[], 1]);
  }
  expect(end.socket.peeks).toBe(peeks);
  end.acknowledge(1460);
  expect(payloadOf(rig.settle())).toEqual([...pattern(5000).subarray(1460, 2920)]);
});

test("sequence numbers wrap across 2^32, within a segment, between two, and when sent again", () => {
  for (const before of [1, 2, 700, 1461]) {
    const rig = rigBeforeWrap(before);
    const end = openOutbound(rig);
    expect((0x1_0000_0000 - end.isn) >>> 0).toBeLessThan(before + 3);
    rig.sockets.push(end.socket, pattern(4000));
    expect(payloadOf(rig.settle())).toEqual([...pattern(4000)]);
    end.acknowledge(1460);
    rig.settle();
    rig.input(end.segment());
    const again = rig.settle();
    expect(payloadOf(again)).toEqual([...pattern(4000).subarray(1460)]);
    expect(again[0].sequence).toBe(end.expected);
    end.acknowledge(2540);
    rig.sockets.end(end.socket);
    expect(rig.settle()).toMatchObject([{ flags: F.fin | F.ack, sequence: end.expected }]);
    end.acknowledge(1);
    rig.input(end.segment({ flags: F.fin | F.ack }));
    expect([rig.engine.flowCount, end.socket.state]).toEqual([0, "closed"]);
  }
});

test("a ring without room: nothing is peeked, and the flow goes on when buffers come", () => {
  const rig = new EngineRig({ sink: { elements: 1, entryBytes: [12, 1514] } });
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(4000));
  const { peeks } = end.socket;
  expect([rig.settle(), rig.turns, rig.engine.waitsForRoom]).toEqual([[], 1, true]);
  expect(end.socket.peeks).toBe(peeks);
  rig.sink.addElements(2);
  expect(payloadOf(rig.settle())).toEqual([...pattern(2920)]);
  expect(rig.engine.waitsForRoom).toBe(true);
  rig.sink.addElements(5);
  expect(payloadOf(rig.settle())).toEqual([...pattern(4000).subarray(2920)]);
  expect([rig.engine.waitsForRoom, rig.sink.elements]).toEqual([false, 4]);
});

test("a ring that is not ready: everything waits, in the socket", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sink.ready = false;
  rig.sockets.push(end.socket, pattern(3000));
  rig.sockets.end(end.socket);
  expect([rig.settle(), rig.turns, rig.engine.waitsForRoom]).toEqual([[], 1, true]);
  expect(rig.pass(300_000)).toEqual([]);
  rig.sink.ready = true;
  const seen = rig.settle();
  expect(payloadOf(seen)).toEqual([...pattern(3000)]);
  expect(seen.at(-1)?.flags).toBe(F.fin | F.ack);
});

test("a FIN for which the ring has no room is sent when it has", () => {
  const rig = new EngineRig({ sink: { elements: 2 } });
  const end = openOutbound(rig);
  rig.sink.elements = 0;
  rig.sockets.end(end.socket);
  expect(rig.settle()).toEqual([]);
  rig.sink.addElements(1);
  expect(rig.settle()).toMatchObject([{ flags: F.fin | F.ack, payload: [] }]);
});

test("a driver whose buffers hold no frame of the MSS gets shorter ones", () => {
  const rig = new EngineRig({ sink: { entryBytes: [12, 600], mergeable: false } });
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(3000));
  const seen = rig.settle();
  expect(payloadOf(seen)).toEqual([...pattern(3000)]);
  expect(Math.max(...lengthsOf(seen))).toBe(365);
  expect(rig.engine.counters[TcpCounter.framesTooLong]).toBe(2);
});

test("a driver whose buffers hold no segment at all: both sides are reset instead of a flow that never moves", () => {
  const rig = new EngineRig({ sink: { entryBytes: [12, 100], mergeable: false } });
  rig.input({ flags: F.syn, sequence: 7 });
  rig.sockets.complete(rig.sockets.last);
  const [{ sequence }] = rig.settle();
  rig.input({ flags: F.ack, sequence: 8, acknowledgment: sequence + 1 });
  expect(rig.settle()).toMatchObject([{ flags: F.rst | F.ack }]);
  expect([rig.sockets.last.state, rig.engine.flowCount]).toEqual(["reset", 0]);
});

test("flows take turns: each sends a burst before the next one", () => {
  const rig = new EngineRig({ engine: { burstBytes: 2920, turnBytes: 5840 } });
  const a = openOutbound(rig, { sourcePort: 1 });
  const b = openOutbound(rig, { sourcePort: 2 });
  rig.sockets.push(a.socket, pattern(6000));
  rig.sockets.push(b.socket, pattern(6000));
  const order = rig.settle().map((segment) => segment.destinationPort);
  expect(order).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 1, 2]);
  expect(rig.turns).toBeGreaterThan(2);
});

test("the end of the stream brings one FIN, and its acknowledgment ends our direction", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, [1, 2]);
  rig.sockets.end(end.socket);
  expect(rig.settle()).toMatchObject([
    { flags: F.ack | F.psh, payload: [1, 2] },
    { flags: F.fin | F.ack, sequence: end.expected + 2, payload: [] },
  ]);
  rig.sockets.end(end.socket);
  expect(rig.settle()).toEqual([]);
  end.acknowledge(2);
  expect(rig.settle()).toEqual([]);
  end.acknowledge(1);
  expect([rig.settle(), rig.engine.deadlineMs, rig.engine.flowCount]).toEqual([[], Infinity, 1]);
});

test("without a peek offset: payload, resends and the end of the stream are the same", () => {
  const rig = new EngineRig({ peekOffset: false });
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(4000));
  rig.sockets.end(end.socket);
  expect(payloadOf(rig.settle())).toEqual([...pattern(4000)]);
  end.acknowledge(1460);
  rig.input(end.segment());
  expect(payloadOf(rig.settle())).toEqual([...pattern(4000).subarray(1460)]);
  end.acknowledge(2000);
  // The end cannot be seen while bytes are queued in front of it.
  expect(rig.settle()).toEqual([]);
  end.acknowledge(540);
  expect(rig.settle()).toMatchObject([{ flags: F.fin | F.ack, sequence: end.expected }]);
});

test("the peek offset is set only to go back", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const offsets: number[] = [];
  const { setPeekOffset } = rig.sockets;
  rig.sockets.setPeekOffset = (socket, offset) => {
    offsets.push(offset);
    return setPeekOffset.call(rig.sockets, socket, offset);
  };
  for (let i = 0; i < 3; i++) {
    rig.sockets.push(end.socket, pattern(3000));
    rig.settle();
    end.acknowledge(2000);
  }
  rig.settle();
  expect(offsets).toEqual([]);
  rig.input(end.segment());
  expect(payloadOf(rig.settle()).length).toBe(3000);
  expect(offsets).toEqual([0]);
});

test("an interrupted peek is done again, without another event", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, [1, 2, 3]);
  const { peek } = rig.sockets;
  let interruptions = 2;
  rig.sockets.peek = (...args) => (interruptions-- > 0 ? SocketError.interrupted : peek.apply(rig.sockets, args));
  expect(payloadOf(rig.settle())).toEqual([1, 2, 3]);
});

test("a peek that fails resets both sides", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  end.socket.error = SocketError.connectionReset;
  rig.engine.socketReady(end.socket.flow, 1, rig.nowMs);
  const reset = { flags: F.rst | F.ack, sequence: end.expected, acknowledgment: end.next, window: 0 };
  expect(rig.settle()).toMatchObject([reset]);
  expect([end.socket.state, rig.engine.flowCount]).toEqual(["reset", 0]);
});
