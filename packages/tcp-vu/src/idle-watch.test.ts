import { expect, test } from "bun:test";
import { TcpCounter } from "./counters.ts";
import { IDLE_TIMEOUT_MS, KEEPALIVE_MS } from "./idle-watch.ts";
import { EngineRig } from "./testing/engine-rig.ts";
import { F } from "./testing/frames.ts";
import { openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

const REAL = { engine: { keepaliveMs: KEEPALIVE_MS, idleTimeoutMs: IDLE_TIMEOUT_MS } };

test("a guest that is silent for 30 s gets a keepalive: one number before what it expects, ACK, no payload", () => {
  const rig = new EngineRig(REAL);
  const end = openOutbound(rig);
  const start = rig.nowMs;
  const [keepalive, ...rest] = rig.pass(59_000);
  expect(rest).toEqual([]);
  expect(keepalive).toMatchObject({
    atMs: start + 30_000,
    flags: F.ack,
    sequence: (end.expected - 1) >>> 0,
    acknowledgment: end.next,
    payload: [],
  });
  expect(keepalive.window).toBeGreaterThan(0);
  expect(rig.engine.counters[TcpCounter.keepalives]).toBe(1);
});

test("each further 30 s of silence bring another one; what the guest sends begins them anew", () => {
  const rig = new EngineRig(REAL);
  const end = openOutbound(rig);
  const start = rig.nowMs;
  expect(rig.pass(100_000).map(({ atMs }) => atMs - start)).toEqual([30_000, 60_000, 90_000]);
  end.send([1]);
  rig.take();
  const again = rig.nowMs;
  expect(rig.pass(60_000).map(({ atMs }) => atMs - again)).toEqual([30_000, 60_000]);
});

test("the answer to a keepalive is no duplicate acknowledgment, and is not answered", () => {
  const rig = new EngineRig(REAL);
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(3000));
  rig.settle();
  end.acknowledge(3000);
  rig.settle();
  rig.pass(30_000);
  for (let i = 0; i < 3; i++) rig.input(end.segment());
  expect(rig.settle()).toEqual([]);
  expect(rig.engine.counters[TcpCounter.fastRetransmits]).toBe(0);
});

test("keepalives that nobody answers end nothing: a paused guest is not a dead one", () => {
  const rig = new EngineRig(REAL);
  const end = openOutbound(rig);
  rig.pass(IDLE_TIMEOUT_MS - 60_000);
  expect(rig.engine.counters[TcpCounter.keepalives]).toBe(246);
  expect([rig.engine.flowCount, end.socket.state]).toEqual([1, "open"]);
  end.send([5]);
  expect(end.socket.sent).toEqual([5]);
});

test("a guest that was restarted answers a keepalive with RST, and the host's peer sees it", () => {
  const rig = new EngineRig(REAL);
  const end = openOutbound(rig);
  const [keepalive] = rig.pass(30_000);
  rig.input(end.segment({ flags: F.rst, sequence: keepalive.acknowledgment, acknowledgment: 0 }));
  expect([rig.engine.flowCount, end.socket.state, rig.engine.deadlineMs]).toEqual([0, "reset", Infinity]);
});

test("what is in flight, or waits for the guest's window, asks by itself: no keepalive beside it", () => {
  for (const window of [65535, 0]) {
    const rig = new EngineRig(REAL);
    const end = openOutbound(rig, { window, options: synOptions(1460, 0) });
    rig.sockets.push(end.socket, pattern(3000));
    rig.settle();
    const bare = rig.pass(120_000).filter(({ payload }) => payload.length === 0);
    expect([bare, rig.engine.counters[TcpCounter.keepalives]]).toEqual([[], 0]);
  }
});

test("without room in the ring a keepalive is left out, and the next one comes in 30 s", () => {
  const rig = new EngineRig(REAL);
  openOutbound(rig);
  rig.sink.elements = 0;
  expect(rig.pass(30_000)).toEqual([]);
  rig.sink.addElements(9);
  expect(rig.pass(30_000).length).toBe(1);
});

test("a connection that neither side uses is reset after 2 h 4 min, within the 2 to 4 h of passt", () => {
  const rig = new EngineRig(REAL);
  const end = openOutbound(rig);
  const start = rig.nowMs;
  const last = rig.pass(4 * 3_600_000).at(-1);
  expect(last).toMatchObject({ flags: F.rst | F.ack, sequence: end.expected, atMs: start + IDLE_TIMEOUT_MS });
  expect(IDLE_TIMEOUT_MS).toBeGreaterThanOrEqual(124 * 60_000);
  expect(IDLE_TIMEOUT_MS).toBeLessThanOrEqual(4 * 3_600_000);
  expect([end.socket.state, rig.engine.flowCount, rig.engine.deadlineMs]).toEqual(["reset", 0, Infinity]);
  expect(rig.engine.counters[TcpCounter.idleTimeouts]).toBe(1);
});

test("payload from the host alone, or answers to keepalives alone, keep it", () => {
  const hosted = new EngineRig(REAL);
  const end = openOutbound(hosted);
  const answering = new EngineRig(REAL);
  const other = openOutbound(answering);
  for (let hour = 0; hour < 5; hour++) {
    hosted.pass(3_600_000);
    hosted.sockets.push(end.socket, [hour]);
    hosted.settle();
    end.acknowledge(1);
    answering.pass(3_600_000);
    answering.input(other.segment());
  }
  expect([hosted.engine.flowCount, answering.engine.flowCount]).toEqual([1, 1]);
});

test("many silent connections are one wake-up a second", () => {
  const rig = new EngineRig(REAL);
  rig.pass(100);
  for (let i = 0; i < 20; i++) {
    openOutbound(rig, { sourcePort: 41000 + i });
    rig.pass(40);
  }
  const moments = new Set(rig.pass(35_000).map(({ atMs }) => atMs));
  expect([moments.size, rig.engine.counters[TcpCounter.keepalives]]).toEqual([1, 20]);
});

test("a connection that is not established yet, or is being reset, gets no keepalive", () => {
  const rig = new EngineRig(REAL);
  rig.input({ flags: F.syn });
  expect([rig.pass(100_000), rig.engine.deadlineMs]).toEqual([[], Infinity]);
  const other = new EngineRig(REAL);
  const end = openOutbound(other);
  other.sink.ready = false;
  other.sockets.fail(end.socket);
  other.settle();
  expect(other.pass(59_000)).toEqual([]);
  expect(other.engine.counters[TcpCounter.keepalives]).toBe(0);
});
