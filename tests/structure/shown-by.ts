// Tables of a README that say which test shows what: each row's last cell, under "shown by", is a list of links to test files
// with the name of a test, `[file](path): name`, separated by <br>.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { hasTest } from "./test-names.ts";

const SHOWN = /^\[[^\]]+\]\((?<path>[^)]+)\): (?<name>.+)$/;

/** What is wrong with these tables of a README, as "path:line: why": rows without a test, and tests that are not there. */
export function shownByFaults(root: string, path: string): string[] {
  const folder = dirname(join(root, path));
  const texts = new Map<string, string | null>();
  const textOf = (file: string): string | null => {
    const known = texts.get(file);
    if (known !== undefined) return known;
    const text = existsSync(file) ? readFileSync(file, "utf8") : null;
    texts.set(file, text);
    return text;
  };
  const faults: string[] = [];
  let rows = 0;
  for (const [line, cell] of shownByCells(readFileSync(join(root, path), "utf8"))) {
    rows++;
    for (const shown of cell.split("<br>")) {
      const found = SHOWN.exec(shown.trim())?.groups;
      const file = found === undefined ? "" : join(folder, found.path);
      const text = found === undefined ? null : textOf(file);
      if (found === undefined) faults.push(`${path}:${line}: no test is named by '${shown.trim()}'`);
      else if (text === null) faults.push(`${path}:${line}: ${relative(root, file)} does not exist`);
      else if (!hasTest(text, found.name)) {
        faults.push(`${path}:${line}: ${relative(root, file)} has no test '${found.name}'`);
      }
    }
  }
  if (rows === 0) faults.push(`${path}: no table says which tests show what`);
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
