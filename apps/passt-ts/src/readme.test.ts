import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { OPTIONS } from "./option-table.ts";

const PATH = join(import.meta.dir, "../README.md");

/** The rows of the README's tables of options, cell by cell. */
const ROWS: readonly (readonly string[])[] = readFileSync(PATH, "utf8")
  .split("\n## Behaviours\n")[0]
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) =>
    line
      .slice(1, -1)
      .split(" | ")
      .map((cell) => cell.trim()),
  );

/** The row of an option, which has all its forms. */
function rowOf(forms: readonly string[]): readonly string[] | undefined {
  return ROWS.find(([names]) => {
    const shown = [...names.matchAll(/`([^` ]+)[^`]*`/g)].map(([, form]) => form);
    return forms.length === shown.length && forms.every((form) => shown.includes(form));
  });
}

describe("the README's table of options", () => {
  test.each(OPTIONS.map((row) => [row.name, row] as const))("has --%s, and tests that show it", (_name, row) => {
    const { name, short, alias } = row;
    const forms = [
      ...(short === undefined ? [] : [`-${short}`]),
      `--${name}`,
      ...(alias === undefined ? [] : [`--${alias}`]),
    ];
    const [, , shownBy = ""] = rowOf(forms) ?? [];
    const tests = shownBy.split("<br>").map((text) => /^\[[^\]]+\]\(([^)]+)\): (.+)$/.exec(text.trim()));
    expect(tests.length).toBeGreaterThan(0);
    for (const found of tests) {
      const [, path = "", title = ""] = found ?? [];
      expect(readFileSync(join(dirname(PATH), path), "utf8")).toContain(`("${title}", `);
    }
  });

  test("has no option that there is not", () => {
    expect(ROWS.length).toBe(OPTIONS.length);
  });
});
