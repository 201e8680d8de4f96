import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FileResult, notPassedReason, readTestReport } from "./test-report.ts";

const source = `
import { describe, expect, test } from "bun:test";
test("says <a> & 'b'", () => {});
test("fails", () => expect(1).toBe(2));
test.${"skip"}("is skipped", () => {});
test.${"todo"}("is to do");
describe("inside", () => {
  test.each([1, 2])("row %p passes", () => {});
  test.each([1, 2])("row %p is two", (n) => expect(n).toBe(2));
});
`;

/** What the real runner reports of the source above. */
function resultOfSource(): FileResult | undefined {
  const folder = mkdtempSync(join(tmpdir(), "test-report-"));
  try {
    writeFileSync(join(folder, "a.test.ts"), source);
    const command = ["bun", "test", "--reporter=junit", "--reporter-outfile=report.xml"];
    Bun.spawnSync(command, { cwd: folder, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    return readTestReport(readFileSync(join(folder, "report.xml"), "utf8")).get("a.test.ts");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a test has passed when the runner says so of each test that fits its name", () => {
  const result = resultOfSource();
  const reasons = ["says <a> & 'b'", "row %p passes", "fails", "is skipped", "is to do", "row %p is two", "is missing"];
  expect(reasons.map((name) => [name, notPassedReason(result, name)])).toEqual([
    ["says <a> & 'b'", null],
    ["row %p passes", null],
    ["fails", "did not pass"],
    ["is skipped", "did not pass"],
    ["is to do", "did not pass"],
    ["row %p is two", "did not pass"],
    ["is missing", "did not run"],
  ]);
  expect(notPassedReason(undefined, "any")).toBe("did not run");
});
