import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { floors } from "./floors.ts";
import { checkWorkspace, type Table, tableFaults } from "./rules.ts";

// Small trees on disk, each with one thing wrong.

const table: Table = {
  low: { floor: 0, imports: [] },
  middle: { floor: 2, imports: ["low"] },
  linux: { floor: 4, imports: ["low"] },
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "passt-ts-rules-"));
  for (const [name, row] of Object.entries(table)) {
    const dependencies = Object.fromEntries(row.imports.map((other) => [`@passt-ts/${other}`, "workspace:*"]));
    put(
      `packages/${name}/package.json`,
      JSON.stringify({ name: `@passt-ts/${name}`, exports: { "./*": "./src/*.ts" }, dependencies }),
    );
    put(`packages/${name}/README.md`, "One sentence.\n\n```ts\n```\n");
    put(`packages/${name}/src/thing.ts`, "export const thing = 1;\n");
  }
});
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const faults = (): string[] => checkWorkspace(root, table);

test("a tree that keeps the rules has no faults", () => {
  put("packages/middle/src/user.ts", 'import { thing } from "@passt-ts/low/thing";\nexport const twice = thing * 2;\n');
  expect(faults()).toEqual([]);
});

const oneFault: readonly (readonly [string, string, string, RegExp])[] = [
  ["an upward import", "packages/low/src/a.ts", 'import { x } from "@passt-ts/middle/x";\n', /a\.ts:1: .*upward/],
  [
    "an upward type import",
    "packages/low/src/a.ts",
    '\nimport type {\n  X,\n} from "@passt-ts/middle/x";\n',
    /a\.ts:2: .*upward/,
  ],
  ["an upward re-export", "packages/low/src/a.ts", 'export { x } from "@passt-ts/linux/x";\n', /upward/],
  ["an upward dynamic import", "packages/low/src/a.ts", 'export const x = import("@passt-ts/linux/x");\n', /upward/],
  ["an upward import of a test", "packages/low/src/a.test.ts", 'import { x } from "@passt-ts/middle/x";\n', /upward/],
  ["a package that is not in the table", "packages/low/src/a.ts", 'import "@passt-ts/other/x";\n', /not in the table/],
  [
    "a relative import that leaves its package",
    "packages/low/src/a.ts",
    'import "../../middle/src/thing.ts";\n',
    /outside/,
  ],
  ["bun:ffi in a pure package", "packages/low/src/a.ts", 'import { dlopen } from "bun:ffi";\n', /bun:ffi belongs/],
  ["bun:ffi in an app", "apps/one/src/a.ts", 'import { dlopen } from "bun:ffi";\n', /apps\/one\/src\/a\.ts:1: bun:ffi/],
  ["bun:ffi in the tests", "tests/a.test.ts", 'import { dlopen } from "bun:ffi";\n', /bun:ffi belongs/],
  ["a Node module in a pure package", "packages/low/src/a.ts", 'import "node:fs";\n', /imports node:fs/],
  ["a package from outside in pure source", "packages/low/src/a.ts", 'import "lodash";\n', /imports lodash/],
  ["process", "packages/low/src/a.ts", "export const a = (): number => process.pid;\n", /uses process/],
  ["console", "packages/low/src/a.ts", "export const a = (): void => console.log(1);\n", /uses console/],
  ["the clock", "packages/low/src/a.ts", "export const a = (): number => Date.now();\n", /uses Date/],
  ["the clock as an object", "packages/low/src/a.ts", "export const a = (): object => new Date();\n", /uses Date/],
  [
    "the monotonic clock",
    "packages/low/src/a.ts",
    "export const a = (): number => performance.now();\n",
    /uses performance/,
  ],
  ["randomness", "packages/low/src/a.ts", "export const a = (): number => Math.random();\n", /uses Math.random/],
  [
    "code inside a template",
    "packages/low/src/a.ts",
    "export const a = (): string => `${process.pid}`;\n",
    /uses process/,
  ],
  [
    "let at file scope",
    "packages/low/src/a.ts",
    "const a = 1;\nlet b = a;\nexport const c = () => b++;\n",
    /a\.ts:2: a variable/,
  ],
  [
    "let at file scope above the pure floors",
    "packages/linux/src/a.ts",
    "export let b = 1;\n",
    /a variable at file scope/,
  ],
  [
    "let at file scope of an app",
    "apps/one/src/a.ts",
    "let b = 1;\nexport const c = () => b++;\n",
    /a variable at file/,
  ],
  [
    "an empty map at file scope",
    "packages/low/src/a.ts",
    "const seen = new Map<string, number>();\n",
    /empty collection/,
  ],
  ["an empty array at file scope", "packages/low/src/a.ts", "const seen: string[] = [];\n", /empty collection/],
  ["an index file", "packages/low/src/index.ts", 'export { thing } from "./thing.ts";\n', /no index files/],
  ["a file that is too long", "packages/low/src/a.ts", "// a line\n".repeat(401), /401 lines/],
  ["a README without an example", "packages/low/README.md", "Nothing.\n", /no example/],
  ["a package that the table does not name", "packages/extra/src/a.ts", "", /packages\/extra: not in the table/],
];

for (const [what, path, text, message] of oneFault) {
  test(`found: ${what}`, () => {
    if (path.startsWith("apps/")) put("apps/one/README.md", "One.\n");
    put(path, text);
    const found = faults();
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });
}

const fine: readonly (readonly [string, string, string])[] = [
  ["words in comments", "packages/low/src/a.ts", "// process.exit, Date.now()\n/* import x from 'bun:ffi'\nlet a */\n"],
  [
    "words in strings",
    "packages/low/src/a.ts",
    'export const a = "console.log(1)";\nexport const b = `process.${a}`;\n',
  ],
  ["an import inside a string", "packages/low/src/a.ts", `export const a = 'import "bun:ffi"';\n`],
  [
    "quotes in a regular expression",
    "packages/low/src/a.ts",
    "export const a = /[\"'`]/;\nexport const b = 4 / 2 / 1;\n",
  ],
  [
    "let inside a function",
    "packages/low/src/a.ts",
    "export function f(): number {\n  let a = 1;\n  a++;\n  return a;\n}\n",
  ],
  ["a method called process", "packages/low/src/a.ts", "export class A {\n  process(): void {}\n}\n"],
  ["a table at file scope", "packages/low/src/a.ts", "const names = new Map([[1, 'one']]);\nconst all = [1, 2];\n"],
  [
    "Node modules in a test",
    "packages/low/src/a.test.ts",
    'import "node:fs";\nlet count = 0;\ncount++;\nDate.now();\n',
  ],
  [
    "Node modules above the pure floors",
    "packages/linux/src/a.ts",
    'import "node:fs";\nimport "bun:ffi";\nprocess.exit();\n',
  ],
];

for (const [what, path, text] of fine) {
  test(`no fault: ${what}`, () => {
    put(path, text);
    expect(faults()).toEqual([]);
  });
}

test("found: dependencies that differ from the row, either way", () => {
  const dependencies = { "@passt-ts/linux": "workspace:*", lodash: "1.0.0" };
  put("packages/middle/package.json", JSON.stringify({ name: "@passt-ts/middle", exports: {}, dependencies }));
  expect(faults()).toEqual([
    "packages/middle/package.json: depends on linux, which its row does not allow",
    "packages/middle/package.json: does not depend on low, as its row says",
    "packages/middle/package.json: depends on lodash: packages have no dependencies from outside",
  ]);
});

test("found: an import that the row allows and package.json does not name", () => {
  put("packages/middle/package.json", JSON.stringify({ name: "@passt-ts/middle", exports: {} }));
  put("packages/middle/src/a.ts", 'import "@passt-ts/low/thing";\n');
  expect(faults()).toContain("packages/middle/src/a.ts:1: imports low, which its package.json does not name");
});

test("found: a missing README, a missing package, a wrong name", () => {
  rmSync(join(root, "packages/low"), { recursive: true });
  rmSync(join(root, "packages/middle/README.md"));
  put(
    "packages/linux/package.json",
    JSON.stringify({ name: "linux", exports: {}, dependencies: { "@passt-ts/low": "*" } }),
  );
  expect(faults()).toEqual([
    "packages/low: in the table of floors, but not there",
    "packages/linux/package.json: name is linux, not @passt-ts/linux",
    "packages/middle/README.md: missing",
  ]);
});

test("found: a table that points upward or sideways", () => {
  expect(tableFaults({ a: { floor: 1, imports: ["b", "c"] }, b: { floor: 1, imports: [] } })).toEqual([
    "a (floor 1) may not import b",
    "a (floor 1) may not import c",
  ]);
});

test("our own table points down only, and the whole workspace passes `bun run check:rules`", () => {
  expect(tableFaults(floors)).toEqual([]);
  const workspace = resolve(import.meta.dir, "../..");
  const check = Bun.spawnSync(["bun", "run", "check:rules"], { cwd: workspace, stdout: "pipe", stderr: "pipe" });
  const said = check.stdout.toString() + check.stderr.toString();
  if (check.exitCode !== 0) throw new Error(`bun run check:rules failed:\n${said}`);
  expect(said).toContain("The table of floors holds");
}, 120_000);
