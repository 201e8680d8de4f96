import { expect, test } from "bun:test";
import fc from "fast-check";
import { TcpCounter } from "./counters.ts";
import { EngineRig, GUEST6, REMOTE6 } from "./testing/engine-rig.ts";
import { F, type SegmentFields, serializeSegment } from "./testing/frames.ts";
import { openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

const TCP_AT = 34;

/** A frame whose data offset field says `words`, whatever lies there. */
function withDataOffset(fields: Partial<SegmentFields>, words: number): Uint8Array {
  const frame = serializeSegment(fields);
  frame[TCP_AT + 12] = words << 4;
  return frame;
}

test("an impossible data offset is counted, and changes nothing", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  for (let words = 0; words < 16; words++) {
    // 20 bytes of header and 8 of payload: 5, 6 and 7 words are possible.
    if (words >= 5 && words <= 7) continue;
    rig.inputFrames(withDataOffset(end.segment({ payload: pattern(8) }), words));
  }
  expect(rig.engine.counters[TcpCounter.malformed]).toBe(13);
  expect([rig.settle(), end.socket.sent]).toEqual([[], []]);
  rig.inputFrames(withDataOffset(end.segment({ payload: pattern(8) }), 6));
  expect(end.socket.sent).toEqual([...pattern(8).subarray(4)]);
});

test("fragments and port 0 are counted, and change nothing", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  for (const [flags, offset] of [
    [0x20, 0],
    [0, 1],
  ]) {
    const frame = serializeSegment(end.segment({ payload: [1] }));
    frame[20] = flags;
    frame[21] = offset;
    rig.inputFrames(frame);
  }
  rig.input(end.segment({ sourcePort: 0 }), end.segment({ destinationPort: 0 }));
  expect(rig.engine.counters[TcpCounter.malformed]).toBe(4);
  expect([rig.settle(), end.socket.sent]).toEqual([[], []]);
});

test("SYN options of length 0, 1, wrong or beyond the end: what cannot be read is absent", () => {
  const broken: [readonly number[], number][] = [
    [[2, 0, 5, 180], 536],
    [[2, 1, 5, 180], 536],
    [[2, 3, 5, 180], 536],
    [[2, 255, 5, 180], 536],
    [[1, 1, 1, 2], 536],
    [[3, 0, 2, 4, 3, 232, 0, 0], 536],
    [[2, 4, 3, 232, 3, 9, 1, 1], 1000],
    [[99, 2, 2, 4, 3, 232, 0, 0], 1000],
    [[0, 2, 4, 3, 232, 0, 0, 0], 536],
    [[2, 4, 0, 0, 3, 3, 255, 0], 64],
  ];
  for (const [options, mss] of broken) {
    const rig = new EngineRig();
    const end = openOutbound(rig, { options });
    rig.sockets.push(end.socket, pattern(3000));
    expect(rig.settle()[0].payload.length).toBe(mss);
  }
});

test("a flood of SYNs fills the table and no more; each further one gets a RST", () => {
  const rig = new EngineRig({ engine: { capacity: 16 } });
  for (let i = 0; i < 500; i++) {
    rig.input({ flags: F.syn, sourcePort: 1 + i, options: synOptions(1460, 7) });
  }
  expect([rig.engine.flowCount, rig.sockets.sockets.length]).toEqual([16, 16]);
  expect(rig.engine.counters[TcpCounter.tableFull]).toBe(484);
  expect(rig.take().filter((segment) => segment.flags === (F.rst | F.ack)).length).toBe(484);
});

const headerBytes = fc.uint8Array({ minLength: 0, maxLength: 80 });

test("random bytes behind an IP header never throw, nor open more than the table holds", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(headerBytes, fc.boolean()), { maxLength: 40 }), (packets) => {
      const rig = new EngineRig({ engine: { capacity: 4 } });
      const frames = packets.map(([bytes, v4]) => {
        const addresses = v4 ? {} : { source: GUEST6, destination: REMOTE6 };
        const whole = serializeSegment({ ...addresses, payload: bytes });
        // The bytes take the place of the TCP header.
        const at = v4 ? TCP_AT : 54;
        const frame = new Uint8Array(at + bytes.length);
        frame.set(whole.subarray(0, at));
        frame.set(bytes, at);
        new DataView(frame.buffer).setUint16(v4 ? 16 : 18, bytes.length + (v4 ? 20 : 0));
        return frame;
      });
      rig.inputFrames(...frames);
      rig.settle();
      const { counters } = rig.engine;
      expect(counters[TcpCounter.segmentsIn]).toBe(packets.length);
      expect(rig.engine.flowCount).toBeLessThanOrEqual(4);
      rig.engine.reset(rig.nowMs);
      expect(rig.sockets.sockets.filter(({ state }) => state === "open")).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

/** A number that lies near one that matters, or anywhere. */
const near = fc.oneof(fc.integer({ min: -3000, max: 3000 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
const hostileSegment = fc.record({
  flags: fc.oneof(fc.constantFrom(F.ack, F.ack | F.fin, F.ack | F.psh, F.syn, F.rst), fc.nat(255)),
  sequence: near,
  acknowledgment: near,
  window: fc.nat(65535),
  payloadBytes: fc.nat(2000),
  options: fc.uint8Array({ maxLength: 10 }).map((bytes) => [...bytes, ...new Uint8Array(-bytes.length & 3)]),
});
const step = fc.oneof(
  hostileSegment.map((segment) => ({ segment })),
  fc.nat(5000).map((pushBytes) => ({ pushBytes })),
  fc.nat(20_000).map((passMs) => ({ passMs })),
  fc.nat(3).map((elements) => ({ elements })),
  fc.nat(15).map((events) => ({ events })),
);

test("random segments around a connection's numbers never throw, and leave no socket open at the end", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, peekOffset) => {
      const rig = new EngineRig({ peekOffset, engine: { batchSegments: 3 } });
      const end = openOutbound(rig, { options: synOptions(1460, 2) });
      for (const one of steps) {
        if ("segment" in one) {
          const { sequence, acknowledgment, payloadBytes, ...fields } = one.segment;
          const numbers = { sequence: end.next + sequence, acknowledgment: end.expected + acknowledgment };
          rig.input(end.segment({ ...fields, ...numbers, payload: pattern(payloadBytes) }));
        } else if ("pushBytes" in one) rig.sockets.push(rig.sockets.last, pattern(one.pushBytes));
        else if ("passMs" in one) rig.pass(one.passMs);
        else if ("elements" in one) rig.sink.elements = one.elements;
        else rig.engine.socketReady(end.socket.flow, one.events, rig.nowMs);
        rig.settle();
      }
      const { counters, flowCount } = rig.engine;
      const { sockets } = rig.sockets;
      const open = sockets.filter(({ state }) => state === "open").length;
      expect(open).toBeLessThanOrEqual(flowCount);
      rig.engine.reset(rig.nowMs);
      expect(sockets.filter(({ state }) => state === "open")).toEqual([]);
      expect(counters[TcpCounter.opened]).toBe(sockets.length);
      expect([rig.engine.flowCount, rig.engine.deadlineMs]).toEqual([0, Infinity]);
    }),
    { numRuns: 300 },
  );
});
