import { expect, test } from "bun:test";
import { Refused } from "@passt-ts/net-backend/rx-sink";
import { RxQueue } from "./rx-queue.ts";
import { ReceiveRig } from "./testing/receive-rig.ts";

test("collect: a pool without entries for the next frame gives no room, and ring and pool stay as they were", () => {
  // Each buffer lies in two or three windows, so that eight buffers need more than the eight entries of the pool.
  const rig = new ReceiveRig({ size: 8, layout: [100], chains: 8, edgeBytes: 50 });
  const rx = new RxQueue(rig.windows, { queueSizeMax: 8, extraEntries: 0 });
  rx.bind(rig.queue, 12, true, 0);
  let frames = 0;
  while (rx.reserve(60) >= 0) frames++;
  expect(frames).toBeGreaterThan(1);
  const before = [rx.frames.pool.count, rig.queue.nextAvailable, rig.queue.brokenReason];
  expect(rx.reserve(60)).toBe(Refused.noRoom);
  expect([rx.frames.pool.count, rig.queue.nextAvailable, rig.queue.brokenReason]).toEqual(before);
  expect(before).toEqual([expect.any(Number), frames, 0]);
  // Once they are settled the entries are free, and the buffers that were left are there.
  for (let i = 0; i < frames; i++) rx.commit(i, 60);
  expect(rx.frames.pool.count).toBe(0);
  expect(rx.reserve(60)).toBe(0);
  expect(rig.queue.nextAvailable).toBe(frames + 1);
});

test("a frame that needs more entries than there are is too long, and nobody is told to try again", () => {
  const rig = new ReceiveRig({ size: 8, layout: [100], chains: 8, edgeBytes: 16 });
  const rx = new RxQueue(rig.windows, { queueSizeMax: 8, extraEntries: 0 });
  rx.bind(rig.queue, 12, true, 0);
  expect(rx.reserve(150)).toBe(Refused.tooLong);
  expect(rx.wantRoom(true)).toBe(false);
  expect(rx.reserve(60)).toBe(0);
});
