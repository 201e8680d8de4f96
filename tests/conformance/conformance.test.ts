// What the reference answers to scripted frames was recorded (record/); here our daemon is asked the same. All suites are played
// first, some at the same time, for their scripts are made of waiting.

import { beforeAll, describe, expect, test } from "bun:test";
import { compareClockWithRecord, compareWithRecord } from "./against-record.ts";
import type { Found } from "./compare.ts";
import { differences } from "./differences.ts";
import { clockSuites } from "./scripts/clock.ts";
import { suites } from "./suites.ts";
import { foundText, judge } from "./verdict.ts";

const TIMEOUT_MS = 90_000;

describe("our answers are those of the record, but for listed differences", () => {
  const results = new Map<string, Found[] | Error>();

  beforeAll(async () => {
    const clocked = compareClockWithRecord();
    for (const [name, found] of await compareWithRecord(suites, differences)) results.set(name, found);
    for (const [name, found] of await clocked) results.set(name, found);
  }, TIMEOUT_MS);

  function foundIn(name: string): Found[] {
    const found = results.get(name);
    if (found === undefined || found instanceof Error) throw found ?? new Error(`${name} was not played`);
    return found;
  }

  const all = [...suites, ...clockSuites];
  for (const { name } of all) {
    test(name, () => {
      const { unlisted } = judge(foundIn(name), differences);
      expect(unlisted.map(foundText).join("\n")).toBe("");
    });
  }

  test("a window that is scaled wrongly is on no line of the list", () => {
    const windows = all
      .flatMap(({ name }) => foundIn(name))
      .filter(({ field, ours }) => field === "tcp.window" && ours !== "0");
    const wrong = windows.flatMap((found) =>
      [2, 1 / 2, 256, 1 / 256].map((factor) => ({ ...found, ours: String(Math.floor(Number(found.ours) * factor)) })),
    );
    expect(wrong.length).toBeGreaterThan(200);
    expect(wrong.filter((found) => judge([found], differences).unlisted.length === 0).map(foundText)).toEqual([]);
  });

  test("every line of the list is needed", () => {
    const found = all.flatMap(({ name }) => foundIn(name));
    const { unneeded } = judge(found, differences);
    expect(unneeded.map(({ script, frame, field }) => `${script} | ${frame} | ${field}`)).toEqual([]);
  });
});
