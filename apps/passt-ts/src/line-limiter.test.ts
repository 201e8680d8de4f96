import { expect, test } from "bun:test";
import { LineLimiter } from "./line-limiter.ts";

test("so many lines in a period, then one that counts the others, then as many again", () => {
  const said: string[] = [];
  const limiter = new LineLimiter({ log: (_level, text) => void said.push(text), about: "it", linesMax: 2 });
  const admitted = (nowMs: number) => [0, 1, 2, 3].filter(() => limiter.admits(nowMs)).length;
  expect(limiter.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  expect([admitted(5000), admitted(5500), limiter.deadlineMs]).toEqual([2, 0, 6000]);
  limiter.turn(5999);
  expect(said).toEqual([]);
  limiter.turn(6000);
  limiter.turn(9000);
  expect(said).toEqual(["6 further lines about it left out"]);
  expect([admitted(9000), limiter.deadlineMs]).toEqual([2, 10_000]);
});

test("what was left out is said before the first line of the next period, even when nobody asked in between", () => {
  const said: string[] = [];
  const limiter = new LineLimiter({ log: (_level, text) => void said.push(text), about: "it", linesMax: 1 });
  expect([limiter.admits(0), limiter.admits(1), limiter.admits(2000)]).toEqual([true, false, true]);
  expect(said).toEqual(["1 further line about it left out"]);
  expect(limiter.deadlineMs).toBe(Number.POSITIVE_INFINITY);
});
