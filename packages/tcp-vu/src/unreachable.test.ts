import { expect, test } from "bun:test";
import { TcpCounter } from "./counters.ts";
import { EngineRig, GUEST6, REMOTE6 } from "./testing/engine-rig.ts";
import { F, serializeSegment, slowSum } from "./testing/frames.ts";
import { synOptions } from "./testing/guest-end.ts";
import { ToldSyns } from "./told-syns.ts";

const ERROR = {
  notPermitted: -1,
  accessDenied: -13,
  noProtocol: -92,
  networkUnreachable: -101,
  timedOut: -110,
  refused: -111,
  hostUnreachable: -113,
};
const SYN = { flags: F.syn, sequence: 0x01020304, options: synOptions(1460, 7), window: 64240 };
const SYN6 = { ...SYN, source: GUEST6, destination: REMOTE6 };

/** Refuses `syn` with `error`: in connect() itself, or when its outcome is known. The one frame that comes out. */
function refuse(rig: EngineRig, syn: Uint8Array, error: number, isLate: boolean): Uint8Array {
  if (!isLate) rig.sockets.connectResult = error;
  rig.inputFrames(syn);
  if (isLate) {
    rig.sockets.complete(rig.sockets.last, error);
    for (const [flow, events] of rig.sockets.takeEvents()) rig.engine.socketReady(flow, events, rig.nowMs);
  }
  rig.sink.assertSettled();
  const [frame, ...rest] = rig.sink.take();
  expect([rest, rig.engine.flowCount, rig.engine.deadlineMs]).toEqual([[], 0, Infinity]);
  return frame.bytes;
}

for (const isLate of [false, true]) {
  const when = isLate ? "later" : "at once";

  test(`no route, told ${when}: ICMP unreachable from the peer, quoting exactly what the guest sent`, () => {
    const rig = new EngineRig();
    const syn = serializeSegment(SYN);
    // Type of service, identification, a checksum that fits: the quote shows them again.
    syn.set([0x45, 0x10], 14);
    syn.set([0xbe, 0xef, 0x40, 0x00], 18);
    syn.set([0, 0], 24);
    const headerSum = ~slowSum(syn.subarray(14, 34), 0) & 0xffff;
    syn.set([headerSum >>> 8, headerSum & 255], 24);
    const frame = refuse(rig, syn, ERROR.hostUnreachable, isLate);
    expect([...frame.subarray(12, 14), frame[23]]).toEqual([8, 0, 1]);
    expect([...frame.subarray(26, 34)]).toEqual([...syn.subarray(30, 34), ...syn.subarray(26, 30)]);
    expect([...frame.subarray(34, 36), ...frame.subarray(38, 42)]).toEqual([3, 1, 0, 0, 0, 0]);
    expect([...frame.subarray(42)]).toEqual([...syn.subarray(14, 42)]);
    expect([slowSum(frame.subarray(14, 34), 0), slowSum(frame.subarray(34), 0)]).toEqual([0xffff, 0xffff]);
    expect(rig.engine.counters[TcpCounter.unreachablesOut]).toBe(1);
    if (isLate) expect(rig.sockets.last.state).toBe("reset");
  });

  test(`the same over IPv6, told ${when}`, () => {
    const rig = new EngineRig();
    const syn = serializeSegment(SYN6);
    new DataView(syn.buffer).setUint32(14, 0x6a1b_cdef);
    const frame = refuse(rig, syn, ERROR.networkUnreachable, isLate);
    expect([...frame.subarray(12, 14), frame[20]]).toEqual([0x86, 0xdd, 58]);
    expect([...frame.subarray(22, 54)]).toEqual([...syn.subarray(38, 54), ...syn.subarray(22, 38)]);
    expect([...frame.subarray(54, 56), ...frame.subarray(58, 62)]).toEqual([1, 0, 0, 0, 0, 0]);
    expect([...frame.subarray(62)]).toEqual([...syn.subarray(14, 62)]);
    const pseudo = slowSum(frame.subarray(22, 54), 58 + frame.length - 54);
    expect(slowSum(frame.subarray(54), pseudo)).toBe(0xffff);
  });

  test(`each error says what ours said, told ${when}`, () => {
    for (const [error, code4, code6] of [
      [ERROR.networkUnreachable, 0, 0],
      [ERROR.hostUnreachable, 1, 3],
      [ERROR.accessDenied, 13, 1],
      [ERROR.notPermitted, 13, 1],
    ]) {
      const frame4 = refuse(new EngineRig(), serializeSegment(SYN), error, isLate);
      const frame6 = refuse(new EngineRig(), serializeSegment(SYN6), error, isLate);
      expect([...frame4.subarray(34, 36), ...frame6.subarray(54, 56)]).toEqual([3, code4, 1, code6]);
    }
    const protocol = refuse(new EngineRig(), serializeSegment(SYN), ERROR.noProtocol, isLate);
    expect([...protocol.subarray(34, 36)]).toEqual([3, 2]);
  });

  test(`what ICMP does not say better is a RST that the guest believes, told ${when}`, () => {
    for (const error of [ERROR.refused, ERROR.timedOut]) {
      const frame = refuse(new EngineRig(), serializeSegment(SYN), error, isLate);
      // Protocol TCP; sequence 0, acknowledging the SYN; RST and ACK.
      expect([frame[23], ...frame.subarray(38, 46), frame[47]]).toEqual([6, 0, 0, 0, 0, 1, 2, 3, 5, F.rst | F.ack]);
    }
    expect(refuse(new EngineRig(), serializeSegment(SYN6), ERROR.noProtocol, isLate)[20]).toBe(6);
  });
}

test("of a SYN with payload the quote says how long it was, and shows 8 bytes", () => {
  const syn = serializeSegment({ ...SYN, payload: [1, 2, 3] });
  const frame = refuse(new EngineRig(), syn, ERROR.networkUnreachable, true);
  expect([...frame.subarray(44, 46)]).toEqual([0, syn.length - 14]);
  expect(frame.length).toBe(42 + 28);
});

test("an error that finds no room is dropped and counted; the guest's SYN, sent again, gets it", () => {
  const rig = new EngineRig({ sink: { elements: 0 } });
  rig.sockets.connectResult = ERROR.hostUnreachable;
  rig.input(SYN);
  expect(rig.engine.counters[TcpCounter.segmentsDropped]).toBe(1);
  rig.sink.addElements(1);
  rig.input(SYN);
  expect([rig.sink.take().map(({ bytes }) => bytes[23]), rig.engine.flowCount]).toEqual([[1], 0]);
});

test("a guest that makes nothing of two ICMP errors sends its SYN again, and gets a RST; a new SYN gets the error again", () => {
  for (const isLate of [false, true]) {
    const rig = new EngineRig();
    const kinds = [SYN, SYN, SYN6, SYN6, SYN, { ...SYN, sequence: 5 }, { ...SYN, sourcePort: 41000 }].map(
      (syn) => refuse(rig, serializeSegment(syn), ERROR.networkUnreachable, isLate)[syn === SYN6 ? 20 : 23],
    );
    expect(kinds).toEqual([1, 1, 58, 58, 6, 1, 1]);
  }
});

test("errors come at a rate: 50 at once, then 1000 a second; beyond it a SYN gets a RST", () => {
  const rig = new EngineRig();
  rig.sockets.connectResult = ERROR.networkUnreachable;
  const kinds = (count: number, from: number): number[] => {
    for (let i = 0; i < count; i++) rig.input({ ...SYN, sequence: from + i });
    const protocols = rig.sink.take().map(({ bytes }) => bytes[23]);
    return [1, 6].map((protocol) => protocols.filter((seen) => seen === protocol).length);
  };
  expect(kinds(60, 0)).toEqual([50, 10]);
  rig.nowMs += 20;
  expect(kinds(60, 1000)).toEqual([20, 40]);
});

test("of the SYNs that were told, the newest 64 are remembered", () => {
  const told = new ToldSyns();
  for (let i = 0; i < 65; i++) expect(told.add(i * 0x1234_5678, -i)).toBe(false);
  const twice = (hash: number, sequence: number): boolean[] => [told.add(hash, sequence), told.add(hash, sequence)];
  expect([twice(64 * 0x1234_5678, -64), twice(0x1234_5678, -1)]).toEqual([
    [false, true],
    [false, true],
  ]);
  expect(told.add(0x1234_5678, 1)).toBe(false);
  expect(told.add(0, 0)).toBe(false);
});

test("once a connection is established, an unreachable peer is a reset: ICMP would not end it for the guest", () => {
  const rig = new EngineRig();
  rig.input(SYN);
  rig.sockets.complete(rig.sockets.last);
  const [answer] = rig.settle();
  rig.input({ flags: F.ack, sequence: SYN.sequence + 1, acknowledgment: answer.sequence + 1 });
  rig.sockets.fail(rig.sockets.last, ERROR.hostUnreachable);
  expect(rig.settle()).toMatchObject([{ flags: F.rst | F.ack, sequence: (answer.sequence + 1) >>> 0 }]);
});
