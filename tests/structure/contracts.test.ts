import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Contract, lengths } from "./contracts.ts";
import { statements, waiting } from "./statements.ts";
import { hasTest } from "./test-names.ts";

const root = resolve(import.meta.dir, "../..");
const numbered = (prefix: string, contracts: readonly Contract[]): [string, Contract][] =>
  contracts.map((contract, i) => [`${prefix}${i + 1}`, contract]);

for (const [number, { promise, shownBy }] of [
  ...numbered("L", lengths),
  ...numbered("", statements),
  ...numbered("W", waiting),
]) {
  test(`${number}. ${promise}`, () => {
    expect(shownBy.length).toBeGreaterThan(0);
    for (const [path, name] of shownBy) {
      const file = resolve(root, path);
      if (!existsSync(file)) throw new Error(`${path} does not exist`);
      if (!hasTest(readFileSync(file, "utf8"), name)) throw new Error(`${path} has no test "${name}"`);
    }
  });
}

const source = `
  test("plain, with 'quotes' and (brackets)", () => {});
  test('single', () => {});
  // test("in a comment", () => {});
  const text = 'test("in a string", () => {})';
  test.skip("skipped", () => {});
  test.todo("to do");
  test(
    "on a line of its own",
    () => {},
  );
  for (const layout of LAYOUTS) test(\`[\${layout}] x \${format(layout, "}")} n\`, () => {});
  test.each([[1, [2]], ["a)("]])(
    "each of %p, in a table",
    () => {},
  );
  describe.each(ROWS)("a group of %s", () => {});
  test(\`\${name}: \${what}\`, () => {});
  const rows = [{ name: "a row of a suite", run: () => {} }];
`;

test.each([
  ["plain, with 'quotes' and (brackets)", true],
  ["single", true],
  ["on a line of its own", true],
  ["[12,1514] x 3 n", true],
  ["each of %p, in a table", true],
  ["each of [5, 6], in a table", true],
  ["a row of a suite", true],
  ["plain", false],
  ["[12,1514] x 3", false],
  [" x  n", false],
  ["in a comment", false],
  ["in a string", false],
  ["skipped", false],
  ["to do", false],
  ["a group of %s", false],
  ["something: else", false],
])("the test %p is found: %p", (name, found) => {
  expect(hasTest(source, name)).toBe(found);
});
