import { expect, test } from "bun:test";
import { PROBE_MS } from "./connection.ts";
import { TcpCounter } from "./counters.ts";
import { EngineRig } from "./testing/engine-rig.ts";
import { F, type SeenSegment } from "./testing/frames.ts";
import { type GuestEnd, openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

const payloadOf = (segments: readonly SeenSegment[]): number[] => segments.flatMap((segment) => segment.payload);

/** A connection on which `bytes` bytes were sent and nothing was acknowledged. */
function openWithFlight(rig: EngineRig, bytes: number, fields: Parameters<typeof openOutbound>[1] = {}): GuestEnd {
  const end = openOutbound(rig, fields);
  rig.sockets.push(end.socket, pattern(bytes));
  rig.settle();
  return end;
}

/** Passes time; when segments left, counted from now in ms, those of one moment as one. */
function momentsIn(rig: EngineRig, ms: number): number[] {
  const start = rig.nowMs;
  return [...new Set(rig.pass(ms).map((segment) => segment.atMs - start))];
}

test("one duplicate acknowledgment resends from the first byte missing, at once; further ones tell nothing new", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 5000);
  end.acknowledge(1460);
  expect(rig.settle()).toEqual([]);
  rig.input(end.segment());
  const again = rig.settle();
  expect(payloadOf(again)).toEqual([...pattern(5000).subarray(1460)]);
  expect(again[0].sequence).toBe(end.expected);
  for (let i = 0; i < 3; i++) rig.input(end.segment());
  expect(rig.settle()).toEqual([]);
  expect(rig.engine.counters[TcpCounter.fastRetransmits]).toBe(1);
});

test("duplicates that a resend itself brought do not resend what was sent behind it", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 5000);
  rig.input(end.segment());
  expect(payloadOf(rig.settle()).length).toBe(5000);
  rig.sockets.push(end.socket, pattern(3000, 5000));
  rig.settle();
  // All had arrived but the first segment: it fills the gap, and the other resends are old.
  end.acknowledge(5000);
  for (let i = 0; i < 3; i++) rig.input(end.segment());
  expect(rig.settle()).toEqual([]);
  end.acknowledge(1460);
  rig.input(end.segment());
  expect(payloadOf(rig.settle())).toEqual([...pattern(3000, 5000).subarray(1460)]);
});

test("duplicates that a timeout's resend brought do not resend what was sent behind it either", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 5000);
  expect(payloadOf(rig.pass(PROBE_MS)).length).toBe(5000);
  expect(payloadOf(rig.pass(1000 - PROBE_MS)).length).toBe(5000);
  rig.sockets.push(end.socket, pattern(3000, 5000));
  rig.settle();
  end.acknowledge(5000);
  for (let i = 0; i < 3; i++) rig.input(end.segment());
  expect(rig.settle()).toEqual([]);
});

test("what looks like a duplicate is none: a new window, payload, FIN, nothing in flight", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 3000);
  end.window = 60_000;
  rig.input(end.segment());
  end.send([1]);
  rig.settle();
  end.acknowledge(3000);
  rig.input(end.segment());
  expect(payloadOf(rig.settle())).toEqual([]);
  rig.sockets.push(end.socket, pattern(100));
  rig.settle();
  rig.input(end.segment({ flags: F.ack | F.fin }));
  expect(payloadOf(rig.settle())).toEqual([]);
  expect(rig.engine.counters[TcpCounter.fastRetransmits]).toBe(0);
});

test("without an answer payload is sent again once at 0.2 s, then after 1, 2, 4 ... 64 s, and both sides are reset at 247 s", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 3000);
  const start = rig.nowMs;
  const seen = rig.pass(300_000);
  const resends = seen.slice(0, -1);
  expect([...new Set(resends.map(({ atMs }) => (atMs - start) / 1000))]).toEqual([0.2, 1, 3, 7, 15, 31, 63, 127]);
  expect(payloadOf(resends.slice(0, 3))).toEqual([...pattern(3000)]);
  const last = seen[seen.length - 1];
  expect(last).toMatchObject({ flags: F.rst | F.ack, sequence: (end.expected + 3000) >>> 0, acknowledgment: end.next });
  expect(last.atMs - start).toBe(247_000);
  expect([end.socket.state, rig.engine.flowCount, rig.engine.deadlineMs]).toEqual(["reset", 0, Infinity]);
  expect(rig.engine.counters[TcpCounter.retriesExhausted]).toBe(1);
});

test("the end of a burst that got lost is sent again before the retransmission timeout, which it does not lengthen", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 5000);
  end.acknowledge(3000);
  expect(rig.settle()).toEqual([]);
  expect(payloadOf(rig.pass(PROBE_MS))).toEqual([...pattern(5000).subarray(3000)]);
  expect(rig.engine.counters[TcpCounter.tailProbes]).toBe(1);
  end.acknowledge(2000);
  expect([rig.settle(), rig.engine.deadlineMs, rig.engine.counters[TcpCounter.timeouts]]).toEqual([[], Infinity, 0]);
});

test("a FIN without an answer is sent again as payload is", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.end(end.socket);
  rig.settle();
  const start = rig.nowMs;
  const seen = rig.pass(300_000);
  expect(seen.map(({ atMs }) => (atMs - start) / 1000)).toEqual([0.2, 1, 3, 7, 15, 31, 63, 127, 247]);
  for (const segment of seen.slice(0, -1)) {
    expect(segment).toMatchObject({ flags: F.fin | F.ack, sequence: end.expected });
  }
  expect(seen[8].flags).toBe(F.rst | F.ack);
});

test("payload and FIN are sent again together", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(2000));
  rig.sockets.end(end.socket);
  rig.settle();
  end.acknowledge(1000);
  const again = rig.pass(500);
  expect(payloadOf(again)).toEqual([...pattern(2000).subarray(1000)]);
  expect(again.at(-1)).toMatchObject({ flags: F.fin | F.ack, sequence: (end.expected + 1000) >>> 0 });
  end.acknowledge(1001);
  expect([rig.settle(), rig.engine.deadlineMs]).toEqual([[], Infinity]);
});

test("an acknowledgment of something new begins anew with 1 s", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 3000);
  expect(momentsIn(rig, 8000)).toEqual([200, 1000, 3000, 7000]);
  end.acknowledge(1460);
  expect(momentsIn(rig, 4000)).toEqual([200, 1000, 3000]);
});

test("after a SYN,ACK was lost, the first timeout is 3 s", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, sequence: 7 });
  rig.sockets.complete(rig.sockets.last);
  const [answer] = rig.settle();
  rig.pass(1500);
  rig.input({ flags: F.ack, sequence: 8, acknowledgment: answer.sequence + 1 });
  rig.sockets.push(rig.sockets.last, [1]);
  rig.settle();
  expect(momentsIn(rig, 10_000)).toEqual([200, 3000, 9000]);
});

test("a segment for which a resend must wait is not counted as an attempt: a paused guest is not a dead one", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 1000);
  rig.sink.ready = false;
  expect(rig.pass(600_000)).toEqual([]);
  expect(rig.engine.flowCount).toBe(1);
  rig.sink.ready = true;
  expect(payloadOf(rig.settle())).toEqual([...pattern(1000)]);
  end.acknowledge(1000);
  expect([rig.settle(), rig.engine.deadlineMs]).toEqual([[], Infinity]);
});

test("a closed window is probed with one unit of it after 1, 2, 4 s; nothing else leaves", () => {
  for (const [scale, bytes] of [
    [0, 1],
    [7, 128],
    [14, 1460],
  ]) {
    const rig = new EngineRig();
    const end = openOutbound(rig, { options: synOptions(1460, scale), window: 0 });
    rig.sockets.push(end.socket, pattern(5000));
    expect(rig.settle()).toEqual([]);
    const start = rig.nowMs;
    const probes = rig.pass(8000);
    expect(probes.map(({ atMs }) => atMs - start)).toEqual([1000, 3000, 7000]);
    for (const probe of probes) {
      expect(probe).toMatchObject({ sequence: end.expected, payload: [...pattern(bytes)] });
      expect(probe.frame.bytes.length).toBe(54 + bytes);
    }
    expect(rig.engine.counters[TcpCounter.zeroWindowProbes]).toBe(3);
  }
});

test("a guest that answers no probe is reset at 247 s, as one that acknowledges no payload", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 0 });
  rig.sockets.push(end.socket, pattern(5000));
  rig.settle();
  const start = rig.nowMs;
  const seen = rig.pass(300_000).map(({ atMs, flags }) => [(atMs - start) / 1000, flags & F.rst]);
  expect(seen).toEqual([...[1, 3, 7, 15, 31, 63, 127].map((second) => [second, 0]), [247, F.rst]]);
  expect([end.socket.state, rig.engine.flowCount]).toEqual(["reset", 0]);
});

test("a guest that answers probes with window 0 keeps its connection, however long", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 0 });
  rig.sockets.push(end.socket, pattern(5000));
  rig.settle();
  let probes = 0;
  for (let i = 0; i < 30; i++) {
    probes += rig.pass(60_000).length;
    rig.input(end.segment());
    expect(rig.settle()).toEqual([]);
  }
  expect(probes).toBeGreaterThan(15);
  expect(rig.engine.flowCount).toBe(1);
  expect(rig.engine.counters[TcpCounter.fastRetransmits]).toBe(0);
});

test("when the window opens, the stream goes on behind what the guest has, probe taken or refused", () => {
  for (const taken of [0, 1]) {
    const rig = new EngineRig();
    const end = openOutbound(rig, { window: 0 });
    rig.sockets.push(end.socket, pattern(5000));
    rig.settle();
    expect(rig.pass(1000).length).toBe(1);
    end.window = 65535;
    end.acknowledge(taken);
    const seen = rig.settle();
    expect(seen[0].sequence).toBe(end.expected);
    expect(payloadOf(seen)).toEqual([...pattern(5000).subarray(taken)]);
    end.acknowledge(5000 - taken);
    expect([rig.settle(), rig.engine.deadlineMs]).toEqual([[], Infinity]);
  }
});

test("a window that closes in the middle of the flight, and opens again", () => {
  const rig = new EngineRig();
  const end = openWithFlight(rig, 5000, { window: 3000 });
  end.window = 0;
  end.acknowledge(2920);
  expect(rig.settle()).toEqual([]);
  expect(payloadOf(rig.pass(1000))).toEqual([pattern(5000)[2920]]);
  end.window = 65535;
  end.acknowledge(1);
  expect(payloadOf(rig.settle())).toEqual([...pattern(5000).subarray(2921)]);
});

test("an empty socket and a closed window: looked at once, then no timer runs", () => {
  const rig = new EngineRig();
  openOutbound(rig, { window: 0 });
  expect([rig.pass(500_000), rig.engine.deadlineMs, rig.engine.flowCount]).toEqual([[], Infinity, 1]);
});

test("unlike passt: a probe without window scale is one byte, in a frame of 55 bytes, and nothing of what follows it", () => {
  for (const entryBytes of [[65562], [12, 1514], [66, 600]]) {
    const rig = new EngineRig({ sink: { entryBytes } });
    const end = openOutbound(rig, { options: synOptions(1460), window: 0 });
    rig.sockets.push(end.socket, pattern(3000));
    rig.settle();
    const [probe, ...rest] = rig.pass(1000);
    expect([probe.payload, probe.frame.bytes.length, rest]).toEqual([[pattern(3000)[0]], 55, []]);
  }
});

test("the longest timeout is the host's own setting", () => {
  const rig = new EngineRig({ engine: { rtoMaxMs: 4000 } });
  openWithFlight(rig, 100);
  expect(momentsIn(rig, 60_000)).toEqual([200, 1000, 3000, 7000, 11_000, 15_000, 19_000, 23_000, 27_000]);
});

test("when both sides have closed, a guest that does not acknowledge our FIN is waited for 60 s, then both are reset", () => {
  for (const hostFirst of [true, false]) {
    const rig = new EngineRig();
    const end = openOutbound(rig);
    if (hostFirst) rig.sockets.end(end.socket);
    rig.settle();
    rig.input(end.segment({ flags: F.ack | F.fin }));
    end.next++;
    if (!hostFirst) rig.sockets.end(end.socket);
    rig.settle();
    const start = rig.nowMs;
    const seen = rig.pass(300_000);
    expect(seen.at(-1)).toMatchObject({ flags: F.rst | F.ack, atMs: start + 60_000, acknowledgment: end.next });
    expect([end.socket.state, rig.engine.flowCount, rig.engine.deadlineMs]).toEqual(["reset", 0, Infinity]);
    expect(rig.engine.counters[TcpCounter.closingTimeouts]).toBe(1);
  }
});

test("the 60 s begin with the second FIN, whatever the retransmission timeout has grown to", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.end(end.socket);
  rig.settle();
  rig.pass(100_000);
  // A segment that acknowledges nothing new leaves the timer as it is.
  rig.input(end.segment({ flags: F.ack | F.fin }));
  end.next++;
  const start = rig.nowMs;
  expect(rig.pass(300_000).at(-1)).toMatchObject({ flags: F.rst | F.ack, atMs: start + 60_000 });
});
