import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { releaseProgramCode } from "./program-code.ts";

/** Resident pages that belong to files, in KiB. */
const filesKib = (): number => Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

/** KiB of the program's mappings with these permissions. */
function kib(permissions: string, what: "Rss" | "Anonymous"): number {
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const own = mappings.filter((text) =>
    text.startsWith(process.execPath, text.split("\n")[0].length - process.execPath.length),
  );
  const wanted = own.filter((text) => text.split(" ")[1] === permissions);
  return wanted.reduce((sum, text) => sum + Number(new RegExp(`^${what}: +(\\d+)`, "m").exec(text)?.[1]), 0);
}

test("code and constants go, what was written to stays", () => {
  const before = { code: kib("r-xp", "Rss"), constants: kib("r--p", "Rss"), written: kib("r--p", "Anonymous") };
  // What the engine wrote and then made read-only.
  expect(before.written).toBeGreaterThan(0);
  releaseProgramCode();
  expect(kib("r-xp", "Rss")).toBeLessThan(before.code);
  expect(kib("r--p", "Rss")).toBeLessThan(before.constants);
  expect(kib("r--p", "Anonymous")).toBe(before.written);
});

test("the program's code goes from memory and comes back as it is needed", () => {
  const before = filesKib();
  expect(releaseProgramCode()).toBeGreaterThan(0);
  expect(filesKib()).toBeLessThan(before - 4096);
  expect(JSON.parse(JSON.stringify({ still: ["here", 1.5] }))).toEqual({ still: ["here", 1.5] });
});
