import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { shownByFaults } from "./shown-by.ts";

const HEAD = "| what | shown by |\n| ---- | -------- |\n";

/** The faults of a README beside a test file. */
function faultsOf(readme: string): string[] {
  const root = mkdtempSync(join(tmpdir(), "shown-by-"));
  mkdirSync(join(root, "src"));
  writeFileSync(join(root, "src/a.test.ts"), 'test("it works", () => {});\ntest.each([1])("with %d", () => {});\n');
  writeFileSync(join(root, "README.md"), readme);
  try {
    return shownByFaults(root, "README.md");
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("tests that are there are no fault, alone or several; other tables are not looked at", () => {
  const rows = `${HEAD}| a | [a](src/a.test.ts): it works |\n| b | [a](src/a.test.ts): it works<br>[a](src/a.test.ts): with %d |\n`;
  expect(faultsOf(`# x\n\n| name | value |\n| --- | --- |\n| a | 1 |\n\n${rows}`)).toEqual([]);
});

test.each([
  ["| a | [a](src/a.test.ts): it does not |", "README.md:3: src/a.test.ts has no test 'it does not'"],
  ["| a | [a](src/b.test.ts): it works |", "README.md:3: src/b.test.ts does not exist"],
  ["| a | nothing yet |", "README.md:3: no test is named by 'nothing yet'"],
  ["| a |  |", "README.md:3: no test is named by ''"],
])("the row %p is a fault", (row, fault) => {
  expect(faultsOf(`${HEAD}${row}\n`)).toEqual([fault]);
});

test("a README without such a table is a fault", () => {
  expect(faultsOf("# x\n")).toEqual(["README.md: no table says which tests show what"]);
});

test("every row of the daemon's README names tests that there are", () => {
  expect(shownByFaults(resolve(import.meta.dir, "../.."), "apps/passt-ts/README.md")).toEqual([]);
});
