import { expect, test } from "bun:test";
import { PROBE_MS } from "./connection.ts";
import { EngineRig, type EngineRigOptions, GUEST6, REMOTE6 } from "./testing/engine-rig.ts";
import type { SeenSegment } from "./testing/frames.ts";
import { openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

const payloadOf = (segments: readonly SeenSegment[]): number[] => segments.flatMap((segment) => segment.payload);
const lengthsOf = (segments: readonly SeenSegment[]): number[] => segments.map((segment) => segment.payload.length);

/** The longest frame with Ethernet header that a driver takes. */
const FRAME_BYTES_MAX = 65549;

/** An engine whose driver takes frames of many segments. */
function segmentingRig(options: EngineRigOptions = {}): EngineRig {
  const both = { segmentationBytesMax4: FRAME_BYTES_MAX, segmentationBytesMax6: FRAME_BYTES_MAX };
  return new EngineRig({ ...options, sink: { partialChecksum: true, ...both, ...options.sink } });
}

test("with TSO a frame holds as many whole segments as fit 64 KiB, and says how long each is", () => {
  const rig = segmentingRig();
  const end = openOutbound(rig, { options: synOptions(1460, 7) });
  rig.sockets.push(end.socket, pattern(100_000));
  const seen = rig.settle();
  expect(lengthsOf(seen)).toEqual([44 * 1460, 100_000 - 44 * 1460]);
  expect(payloadOf(seen)).toEqual([...pattern(100_000)]);
  for (const { frame } of seen) {
    expect(frame).toMatchObject({ gsoType: 1, gsoSize: 1460, headerLength: 54, flags: 1, checksumStart: 34 });
  }
});

test("over IPv6 it says so, with the longer header", () => {
  const rig = segmentingRig();
  const fields = { source: GUEST6, destination: REMOTE6, options: synOptions(1440, 7) };
  const end = openOutbound(rig, fields);
  rig.sockets.push(end.socket, pattern(10_000));
  const [segment] = rig.settle();
  expect(segment.payload.length).toBe(10_000);
  expect(segment.frame).toMatchObject({ gsoType: 4, gsoSize: 1440, headerLength: 74, checksumStart: 54 });
});

test("a frame of one segment has no gso_size", () => {
  const rig = segmentingRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(1460));
  expect(rig.settle()[0].frame).toMatchObject({ gsoType: 0, gsoSize: 0, headerLength: 0 });
});

test("over receive buffers so small that a long frame has more entries than one call takes, frames hold fewer segments", () => {
  const rig = segmentingRig({ sink: { entryBytes: [8] } });
  const end = openOutbound(rig, { options: synOptions(1460, 7) });
  rig.sockets.push(end.socket, pattern(50_000));
  const seen = rig.settle();
  expect(payloadOf(seen)).toEqual([...pattern(50_000)]);
  expect(Math.max(...lengthsOf(seen))).toBe(5 * 1460);
});

test("a driver that takes TSO for one family only gets plain segments of the other", () => {
  const rig = segmentingRig({ sink: { segmentationBytesMax6: 0 } });
  const end = openOutbound(rig, { source: GUEST6, destination: REMOTE6, options: synOptions(1440, 7) });
  rig.sockets.push(end.socket, pattern(10_000));
  expect(Math.max(...lengthsOf(rig.settle()))).toBe(1440);
});

test("an MSS that leaves no room for a second segment is sent as without TSO", () => {
  const rig = segmentingRig();
  const end = openOutbound(rig, { options: synOptions(61440, 7) });
  rig.sockets.push(end.socket, pattern(100_000));
  expect(rig.settle().map(({ frame }) => frame.gsoType)).toEqual([0, 0]);
});

test("never more than the guest's window, and whole segments of it", () => {
  const rig = segmentingRig();
  const end = openOutbound(rig, { options: synOptions(1460), window: 20_000 });
  rig.sockets.push(end.socket, pattern(50_000));
  const got = payloadOf(rig.settle()).length;
  expect([got <= 20_000, got % 1460]).toEqual([true, 0]);
});

test("what got lost of a frame is sent again from the first byte missing, cut into segments again", () => {
  const rig = segmentingRig();
  const end = openOutbound(rig, { options: synOptions(1460, 7) });
  rig.sockets.push(end.socket, pattern(50_000));
  rig.settle();
  end.acknowledge(10 * 1460);
  const again = rig.pass(PROBE_MS);
  expect(payloadOf(again)).toEqual([...pattern(50_000).subarray(14_600)]);
  expect(again[0].frame).toMatchObject({ gsoType: 1, gsoSize: 1460 });
});

test("flows that wait for room come before the one that just had some: none starves", () => {
  const rig = new EngineRig({ sink: { elements: 0 }, engine: { burstBytes: 4 * 1460 } });
  rig.sink.addElements(1000);
  const ends = Array.from({ length: 6 }, (_, i) =>
    openOutbound(rig, { sourcePort: 1000 + i, options: synOptions(1460, 7) }),
  );
  rig.sink.addElements(-rig.sink.elements);
  for (const end of ends) rig.sockets.push(end.socket, pattern(400_000));
  rig.settle();
  const frames = new Map<number, number>();
  for (let round = 0; round < 30; round++) {
    // Room for a little more than a burst in each turn, so that who had one still has more to send in the next.
    rig.sink.addElements(5);
    rig.engine.turn(rig.nowMs);
    for (const { destinationPort } of rig.take()) frames.set(destinationPort, (frames.get(destinationPort) ?? 0) + 1);
  }
  const counts = [...frames.values()].sort((a, b) => a - b);
  expect(counts.length).toBe(ends.length);
  expect(counts[0]).toBeGreaterThan(counts[counts.length - 1] / 4);
});
