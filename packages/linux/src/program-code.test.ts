import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { releaseProgramCode } from "./program-code.ts";

/** Resident pages that belong to files, in KiB. */
const filesKib = (): number => Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

/** Resident KiB of the program's mappings with these permissions. */
function residentKib(permissions: string): number {
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const own = mappings.filter((text) =>
    text.startsWith(process.execPath, text.split("\n")[0].length - process.execPath.length),
  );
  const wanted = own.filter((text) => text.split(" ")[1] === permissions);
  return wanted.reduce((sum, text) => sum + Number(/^Rss: +(\d+)/m.exec(text)?.[1]), 0);
}

test("code and constants go, what was written to stays", () => {
  const before = { code: residentKib("r-xp"), constants: residentKib("r--p"), data: residentKib("rw-p") };
  releaseProgramCode();
  expect(residentKib("r-xp")).toBeLessThan(before.code);
  expect(residentKib("r--p")).toBeLessThan(before.constants);
  expect(residentKib("rw-p")).toBeGreaterThanOrEqual(before.data);
});

test("the program's code goes from memory and comes back as it is needed", () => {
  const before = filesKib();
  expect(releaseProgramCode()).toBeGreaterThan(0);
  expect(filesKib()).toBeLessThan(before - 4096);
  expect(JSON.parse(JSON.stringify({ still: ["here", 1.5] }))).toEqual({ still: ["here", 1.5] });
});
