import { expect, test } from "bun:test";
import { TcpCounter } from "./counters.ts";
import { EngineRig } from "./testing/engine-rig.ts";
import { F } from "./testing/frames.ts";
import { openOutbound, pattern } from "./testing/guest-end.ts";

test("a segment that acknowledges what was never sent, or less than a window ago, is dropped and challenged (RFC 5961 5.2)", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { window: 5000 });
  rig.sockets.push(end.socket, pattern(4000));
  rig.settle();
  end.acknowledge(4000);
  rig.settle();
  const challenged = [{ flags: F.ack, sequence: end.expected, acknowledgment: end.next, payload: [] }];
  for (const acknowledgment of [end.expected + 1, end.expected - 5001, end.expected + 0x7fff_ffff]) {
    rig.input(end.segment({ acknowledgment: acknowledgment >>> 0, payload: [1, 2] }));
    expect(rig.take()).toMatchObject(challenged);
  }
  expect([end.socket.sent, rig.engine.counters[TcpCounter.challenges]]).toEqual([[], 3]);
  // The oldest one that may still be under way.
  rig.input(end.segment({ acknowledgment: end.expected - 5000, payload: [1, 2] }));
  expect(end.socket.sent).toEqual([1, 2]);
});

test("a connection sends no more than 10 challenges in 5 s (RFC 5961 7); others have their own 10", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const other = openOutbound(rig, { sourcePort: 40001 });
  const bad = [{ flags: F.syn }, { flags: F.rst, sequence: end.next + 9 }, { acknowledgment: end.expected + 9 }];
  let answers = 0;
  for (let i = 0; i < 30; i++) {
    rig.input(end.segment(bad[i % bad.length]));
    answers += rig.take().length;
  }
  expect(answers).toBe(10);
  const { counters } = rig.engine;
  expect([counters[TcpCounter.challenges], counters[TcpCounter.challengesWithheld]]).toEqual([10, 20]);
  rig.input(other.segment({ flags: F.syn }));
  expect(rig.take().length).toBe(1);
  rig.pass(4999);
  rig.input(end.segment({ flags: F.syn }));
  expect(rig.take()).toEqual([]);
  rig.pass(1);
  rig.input(end.segment({ flags: F.syn }));
  expect(rig.take().length).toBe(1);
  // The connection has lost nothing by all this.
  end.send([7]);
  expect(end.socket.sent).toEqual([7]);
});

test("of a batch, one challenge answers all, and counts once against the rate", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  for (let i = 0; i < 10; i++) {
    rig.input(...Array.from({ length: 20 }, () => end.segment({ flags: F.syn })));
    expect(rig.take().length).toBe(1);
  }
  expect(rig.engine.counters[TcpCounter.challengesWithheld]).toBe(0);
});

test("a guest that has forgotten the connection ends it: its SYN is challenged, and its RST for that is exact", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ flags: F.syn, sequence: 77, acknowledgment: 0 }));
  const [challenge] = rig.take();
  rig.input(end.segment({ flags: F.rst, sequence: challenge.acknowledgment, acknowledgment: 0 }));
  expect([rig.engine.flowCount, end.socket.state]).toEqual([0, "reset"]);
});

test("the same for a RST in the window: the challenge tells the right number, which the guest then uses", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ flags: F.rst, sequence: end.next + 1000 }));
  const [challenge] = rig.take();
  expect(rig.engine.flowCount).toBe(1);
  rig.input(end.segment({ flags: F.rst, sequence: challenge.acknowledgment }));
  expect([rig.engine.flowCount, end.socket.state]).toEqual([0, "reset"]);
});
