// What the reference does with command lines was recorded (record/command-lines.json); here our daemon is given the same ones.

import { beforeAll, describe, expect, test } from "bun:test";
import type { Found } from "../compare.ts";
import { lineDifferences } from "../differences/command-lines.ts";
import { ourCommand } from "../our-daemon.ts";
import { foundText, judge } from "../verdict.ts";
import { compareLines, outcomeOf } from "./compare-lines.ts";
import { argumentsOf } from "./lines.ts";
import { playLines } from "./play-lines.ts";
import { readCommandLines } from "./record-lines.ts";
import type { TriedLine } from "./tried-line.ts";

const TIMEOUT_MS = 120_000;

describe("command lines", () => {
  let ours: readonly TriedLine[] = [];
  let found: readonly Found[] = [];
  beforeAll(async () => {
    ours = await playLines(ourCommand);
    found = compareLines(readCommandLines().lines, ours);
  }, TIMEOUT_MS);

  test("we serve, warn or refuse as passt does, with its exit code, but for listed differences", () => {
    const { unlisted } = judge(found, lineDifferences);
    expect(unlisted.map(foundText).join("\n")).toBe("");
  });

  test("every line of the list is needed", () => {
    const { unneeded } = judge(found, lineDifferences);
    expect(unneeded.map(({ frame }) => frame)).toEqual([]);
  });

  test("what is refused is refused with one line", () => {
    const refused = ours.filter(({ started, exitCode }) => !started && exitCode !== 0);
    expect(refused.length).toBeGreaterThan(50);
    expect(refused.filter(({ says, writesOutput }) => says.length !== 1 || writesOutput)).toEqual([]);
  });
});

test("arguments of a line: as a shell splits it", () => {
  expect(argumentsOf("-m ' 1500' -D ''  -p {dir}/x", "/f")).toEqual(["-m", " 1500", "-D", "", "-p", "/f/x"]);
  expect(argumentsOf("", "/f")).toEqual([]);
});

test("a difference is one of exit code, of serving or not, and of saying something or not; words do not count", () => {
  const line: TriedLine = { line: "-q", started: true, exitCode: 0, writesOutput: false, says: [] };
  const others = [
    { ...line, started: false },
    { ...line, exitCode: 1 },
    { ...line, says: ["warning"] },
    { ...line, started: false, writesOutput: true },
    { ...line, started: false, exitCode: 1, says: ["no"] },
  ];
  expect(new Set([line, ...others].map(outcomeOf)).size).toBe(6);
  for (const other of others) expect(compareLines([line], [other]).length).toBe(1);
  expect(compareLines([others[2]], [{ ...others[2], says: ["other words"] }])).toEqual([]);
  expect(() => compareLines([line], [{ ...line, line: "-d" }])).toThrow("record them anew");
});
