import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { recordFolder } from "./record-file.ts";

/** Every record as it is now. */
const records = (): string[][] =>
  readdirSync(recordFolder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name, Bun.hash(readFileSync(join(recordFolder, name))).toString()]);

function refused(line: readonly string[]): string {
  const before = records();
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, join(import.meta.dir, "record.ts"), ...line]);
  expect({ exitCode, stdout: stdout.toString() }).toEqual({ exitCode: 2, stdout: "" });
  expect(records()).toEqual(before);
  return stderr.toString();
}

describe("recording refuses with one line, exit code 2 and nothing written", () => {
  test("a passt that is not there", () => {
    expect(refused(["--passt", "/nonexistent"])).toMatch(/^ENOENT: .*'\/nonexistent'\n$/);
  });

  test("a program that does not say its version", () => {
    expect(refused(["--passt", "/bin/false", "arp"])).toMatch(/^\/bin\/false --version ended with 1:\n$/);
  });

  test("a suite that does not exist, though others do", () => {
    expect(refused(["--passt", "/bin/true", "arp", "arpp"])).toMatch(/^no suite arpp; there are .*\barp\b.*\n$/);
  });

  test("no passt, and an option that it does not know", () => {
    expect(refused(["arp"])).toMatch(/^usage: .*\n$/);
    expect(refused(["--pasta", "/bin/true"])).toMatch(/^.*--pasta.*\n$/);
  });
});
