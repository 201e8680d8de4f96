import { expect, test } from "bun:test";
import { FaultGuard } from "./fault-guard.ts";

test("an exception is logged with its stack once, then by its message", () => {
  const lines: string[] = [];
  const guard = new FaultGuard((level, text) => void lines.push(`${level} ${text}`));
  const error = new Error("what nobody expects");
  guard.caught(error, 0);
  guard.caught(error, 1);
  guard.caught("no error at all", 2);
  expect(lines[0]).toMatch(/^error unexpected: Error: what nobody expects\n +at /);
  expect(lines.slice(1)).toEqual(["error unexpected, again: what nobody expects", "error unexpected: no error at all"]);
});

test("too many within the time end it; spread out they never do", () => {
  const guard = () => new FaultGuard(() => {}, { faultsMax: 3, windowMs: 1000 });
  const often = guard();
  often.caught(new Error("x"), 0);
  often.caught(new Error("x"), 500);
  expect(() => often.caught(new Error("x"), 999)).toThrow("3 unexpected errors within 1 s: giving up");
  const seldom = guard();
  for (let nowMs = 0; nowMs < 100_000; nowMs += 500) seldom.caught(new Error("x"), nowMs);
});
