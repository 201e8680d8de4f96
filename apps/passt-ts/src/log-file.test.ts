import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogLevel } from "./log.ts";
import { LogFile } from "./log-file.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "log-file-"));
  path = join(folder, "log");
});
afterEach(() => rmSync(folder, { recursive: true }));

const logOf = (sizeMaxBytes: number): LogFile =>
  new LogFile({
    fd: openSync(path, "w+", 0o600),
    header: "passt-ts 1.2.3: /bin/x (42)",
    sizeMaxBytes,
    seconds: () => 12.5,
  });

test("a header, then lines with seconds and level in columns; a line of several is several lines", () => {
  const log = logOf(1000);
  for (const level of ["error", "warning", "info", "debug", "trace"] as LogLevel[]) log.write(level, "text");
  log.write("error", "one\ntwo");
  log.close();
  expect(readFileSync(path, "utf8").split("\n")).toEqual([
    "passt-ts 1.2.3: /bin/x (42)",
    "12.5000: ERROR:   text",
    "12.5000: WARNING: text",
    "12.5000: info:    text",
    "12.5000:          text",
    "12.5000:          text",
    "12.5000: ERROR:   one",
    "12.5000: ERROR:   two",
    "",
  ]);
});

test("a full log loses its oldest lines: the header and the newest lines stay, whole, and a line says so", () => {
  const log = logOf(2000);
  let cuts = 0;
  let before = 0;
  for (let i = 0; i < 500; i++) {
    log.write("info", `line ${i} \u00e4`);
    const { size } = statSync(path);
    expect(size).toBeLessThanOrEqual(2000);
    if (size < before) {
      cuts++;
      // About three tenths go, not everything.
      expect(size).toBeGreaterThan(1000);
    }
    before = size;
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(lines[0]).toBe("passt-ts 1.2.3: /bin/x (42)");
    if (cuts > 0) expect(lines[1]).toMatch(/^12\.5000: info: {4}log truncated at \d{4}-\d\d-\d\dT/);
    const numbers = lines
      .slice(cuts > 0 ? 2 : 1)
      .map((line) => Number(/^12\.5000: info: {4}line (\d+) \u00e4$/.exec(line)?.[1]));
    expect(numbers).toEqual(numbers.map((_, index) => i - numbers.length + 1 + index));
  }
  expect(cuts).toBeGreaterThan(5);
  log.close();
});

test("a line longer than the whole log is left out, and the next one is written", () => {
  const log = logOf(300);
  log.write("info", "x".repeat(400));
  log.write("info", "short");
  log.close();
  const text = readFileSync(path, "utf8");
  expect(text).not.toContain("xxx");
  expect(text).toContain("info:    short");
});

test("the file is written by its descriptor alone, and a closed one does not throw", () => {
  const log = logOf(300);
  unlinkSync(path);
  for (let i = 0; i < 100; i++) log.write("info", "into a file without a name");
  log.close();
  expect(() => log.write("error", "nobody hears it")).not.toThrow();
});
