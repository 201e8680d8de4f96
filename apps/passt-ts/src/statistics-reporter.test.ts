import { expect, test } from "bun:test";
import { StatisticsReporter } from "./statistics-reporter.ts";

test("counters that changed are logged, at the interval and not more often", () => {
  const lines: string[] = [];
  let counter = 0;
  const log = (level: string, text: string) => void lines.push(`${level} ${text}`);
  const reporter = new StatisticsReporter({ intervalMs: 100, text: () => `frames=${counter}`, log, nowMs: 1000 });
  expect(reporter.deadlineMs).toBe(1100);
  counter = 1;
  reporter.turn(1099);
  expect(lines).toEqual([]);
  reporter.turn(1150);
  expect([lines, reporter.deadlineMs]).toEqual([["info frames=1"], 1250]);
  reporter.turn(1250);
  expect(lines.length).toBe(1);
  counter = 2;
  reporter.turn(1349);
  reporter.turn(1350);
  expect(lines).toEqual(["info frames=1", "info frames=2"]);
});

test("without an interval nothing is ever due", () => {
  const reporter = new StatisticsReporter({
    intervalMs: 0,
    text: () => "x",
    log: () => expect.unreachable(),
    nowMs: 0,
  });
  expect(reporter.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  reporter.turn(1e12);
});
