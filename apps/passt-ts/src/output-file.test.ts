import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openOutputFile, openOutputStream, writePidFile } from "./output-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "output-file-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a new file is for its owner alone", () => {
  const path = join(folder, "capture");
  const fd = openOutputFile(path, "-p");
  writeSync(fd, "x");
  closeSync(fd);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toBe("x");
});

test("a file that is there is emptied", () => {
  const path = join(folder, "capture");
  writeFileSync(path, "an old capture");
  closeSync(openOutputFile(path, "-p"));
  expect(statSync(path).size).toBe(0);
});

test("the pid file holds our process id in a line of its own, and is closed", () => {
  const path = join(folder, "pid");
  const fd = openOutputFile(path, "-P");
  writePidFile(fd);
  expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  expect(() => writeSync(fd, "x")).toThrow("EBADF");
});

test.each(["missing/file", "."])(
  "a path that cannot be written, %s, is refused with one line that names option and path",
  async (name) => {
    const path = join(folder, name);
    await expect(openOutputStream(path, "-p")).rejects.toThrow(/^-p: cannot write [^\n]+$/);
    expect(() => openOutputFile(path, "-P")).toThrow(/^-P: cannot write [^\n]+$/);
    expect(() => openOutputFile(path, "-P")).toThrow(path);
    expect(() => openOutputFile("", "-P")).toThrow("cannot write ''");
  },
);
