// Tables of a README that say which test shows what: each row's last cell, under "shown by", is a list of links to test files
// with the name of a test, `[file](path): name`, separated by <br>.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { hasTest } from "./test-names.ts";

const SHOWN = /^\[[^\]]+\]\((?<path>[^)]+)\): (?<name>.+)$/;

/** One test that a row names: where it is named, "path:line", its file from the root, and its name; null where the cell is none. */
export interface ShownTest {
  readonly place: string;
  readonly cell: string;
  readonly test: { readonly file: string; readonly name: string } | null;
}

/** The tests that the tables of a README name, in their order. */
export function shownTests(root: string, path: string): ShownTest[] {
  const folder = dirname(join(root, path));
  const shown: ShownTest[] = [];
  for (const [line, cells] of shownByCells(readFileSync(join(root, path), "utf8"))) {
    for (const cell of cells.split("<br>").map((part) => part.trim())) {
      const found = SHOWN.exec(cell)?.groups;
      const test = found === undefined ? null : { file: relative(root, join(folder, found.path)), name: found.name };
      shown.push({ place: `${path}:${line}`, cell, test });
    }
  }
  return shown;
}

/** What is wrong with these tables of a README, as "path:line: why": rows without a test, and tests that are not there. */
export function shownByFaults(root: string, path: string): string[] {
  const texts = new Map<string, string | null>();
  const textOf = (file: string): string | null => {
    const known = texts.get(file);
    if (known !== undefined) return known;
    const text = existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8") : null;
    texts.set(file, text);
    return text;
  };
  const faults: string[] = [];
  const shown = shownTests(root, path);
  for (const { place, cell, test } of shown) {
    const text = test === null ? null : textOf(test.file);
    if (test === null) faults.push(`${place}: no test is named by '${cell}'`);
    else if (text === null) faults.push(`${place}: ${test.file} does not exist`);
    else if (!hasTest(text, test.name)) faults.push(`${place}: ${test.file} has no test '${test.name}'`);
  }
  if (shown.length === 0) faults.push(`${path}: no table says which tests show what`);
  return faults;
}

/** The last cells of all rows of tables whose last column is "shown by", with their lines. */
function* shownByCells(text: string): Generator<[line: number, cell: string]> {
  let isInside = false;
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.startsWith("|")) {
      isInside = false;
      continue;
    }
    const last =
      line
        .split(" | ")
        .at(-1)
        ?.replace(/\|\s*$/, "")
        .trim() ?? "";
    if (last === "shown by") isInside = true;
    else if (isInside && !/^[| -]+$/.test(line)) yield [index + 1, last];
  }
}
