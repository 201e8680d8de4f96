import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { releaseProgramCode } from "./program-code.ts";

/** Resident pages that belong to files, in KiB. */
const filesKib = (): number => Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

test("the program's code goes from memory and comes back as it is needed", () => {
  const before = filesKib();
  expect(releaseProgramCode()).toBeGreaterThan(0);
  expect(filesKib()).toBeLessThan(before - 4096);
  expect(JSON.parse(JSON.stringify({ still: ["here", 1.5] }))).toEqual({ still: ["here", 1.5] });
});
