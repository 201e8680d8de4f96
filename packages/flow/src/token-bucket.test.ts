import { expect, test } from "bun:test";
import { TokenBucket } from "./token-bucket.ts";

const takeAll = (bucket: TokenBucket, nowMs: number): number => {
  let taken = 0;
  while (bucket.take(nowMs)) taken++;
  return taken;
};

test("a burst is there at the start; afterwards tokens come back at the rate, never more than the burst", () => {
  const bucket = new TokenBucket(1000, 50, 7);
  expect(takeAll(bucket, 7)).toBe(50);
  expect(takeAll(bucket, 7.5)).toBe(0);
  expect(takeAll(bucket, 17)).toBe(10);
  expect(takeAll(bucket, 100_000)).toBe(50);
});

test("over a long time no more than the rate, and the burst once", () => {
  const bucket = new TokenBucket(10, 5, 0);
  let taken = 0;
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 3) taken += takeAll(bucket, nowMs);
  expect(taken).toBeGreaterThanOrEqual(104);
  expect(taken).toBeLessThanOrEqual(105);
});
