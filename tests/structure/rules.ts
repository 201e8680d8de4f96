// The rules of the workspace, each a function that returns what is wrong as "path:line: why".

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ffiPackage, highestPureFloor, type Row } from "./floors.ts";
import { atFileScope, type Import, importsOf, lineAt, readSource } from "./source.ts";

export type Table = Readonly<Record<string, Row>>;

const scope = "@passt-ts/";
/** A test, or what a test runs in a thread of its own. */
const isTest = (path: string): boolean => /\.(test|worker)\.ts$/.test(path);

const longestFile = 400;

/** What pure packages must not touch, as it looks in code. */
const runtimeApis: readonly (readonly [RegExp, string])[] = [
  [/(?<![.\w$])process\s*[.[]/g, "process"],
  [/(?<![.\w$])console\s*[.[]/g, "console"],
  [/(?<![.\w$])(?:new\s+Date\b|Date\s*[.(])/g, "Date (time is an argument)"],
  [/(?<![.\w$])performance\s*\./g, "performance (time is an argument)"],
  [/(?<![.\w$])Math\s*\.\s*random\b/g, "Math.random (randomness is an argument)"],
  [/(?<![.\w$])crypto\s*\./g, "crypto (randomness is an argument)"],
  [/(?<![.\w$])Buffer\s*[.(]/g, "Buffer"],
  [/(?<![.\w$])Bun\s*\./g, "Bun"],
  [/(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask|fetch)\s*\(/g, "timers and I/O"],
];

function sourceFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" || entry.name === "dist" ? [] : sourceFiles(path);
    return /\.(m?ts|mjs|js)$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

const folders = (path: string): string[] =>
  existsSync(path)
    ? readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
    : [];

interface Manifest {
  readonly name?: string;
  readonly exports?: Record<string, unknown>;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
}

const readManifest = (folder: string): Manifest => {
  const path = join(folder, "package.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Manifest) : {};
};

const ownDependencies = (dependencies: Record<string, string> | undefined): string[] =>
  Object.keys(dependencies ?? {})
    .filter((name) => name.startsWith(scope))
    .map((name) => name.slice(scope.length));

function manifestFaults(folder: string, name: string, row: Row): string[] {
  const manifest = readManifest(folder);
  const faults: string[] = [];
  if (manifest.name !== scope + name) faults.push(`name is ${manifest.name}, not ${scope + name}`);
  if (manifest.exports === undefined) faults.push("no exports");
  const declared = ownDependencies(manifest.dependencies);
  for (const other of declared) {
    if (!row.imports.includes(other)) faults.push(`depends on ${other}, which its row does not allow`);
  }
  if (row.subset !== true) {
    for (const other of row.imports) {
      if (!declared.includes(other)) faults.push(`does not depend on ${other}, as its row says`);
    }
  }
  for (const other of Object.keys(manifest.dependencies ?? {})) {
    if (!other.startsWith(scope)) faults.push(`depends on ${other}: packages have no dependencies from outside`);
  }
  return faults.map((fault) => `package.json: ${fault}`);
}

function readmeFaults(folder: string): string[] {
  const path = join(folder, "README.md");
  if (!existsSync(path)) return ["README.md: missing"];
  return /^```ts$/m.test(readFileSync(path, "utf8")) ? [] : ["README.md: no example in a ```ts block"];
}

/** Why `file` of package `name` may not import this, or null. */
function importFault(table: Table, name: string, folder: string, file: string, { specifier }: Import): string | null {
  const row = table[name];
  if (specifier.startsWith(".")) {
    const target = relative(folder, join(dirname(file), specifier));
    return target.startsWith("..") ? `imports ${specifier}, outside its package` : null;
  }
  if (specifier === "bun:ffi") return name === ffiPackage ? null : `bun:ffi belongs to packages/${ffiPackage} alone`;
  if (specifier.startsWith(scope)) {
    const other = specifier.slice(scope.length).split("/")[0];
    if (other === name) return null;
    const target = table[other];
    if (target === undefined) return `imports ${other}, which is not in the table of floors`;
    const manifest = readManifest(folder);
    const declared = ownDependencies({ ...manifest.dependencies, ...(isTest(file) ? manifest.devDependencies : {}) });
    const allowed = row.imports.includes(other) || (isTest(file) && target.floor < row.floor);
    if (!allowed) {
      const way = target.floor > row.floor ? "upward" : target.floor === row.floor ? "sideways" : "undeclared";
      return `imports ${other} (floor ${target.floor}) from floor ${row.floor}: ${way}, its row does not allow it`;
    }
    return declared.includes(other) ? null : `imports ${other}, which its package.json does not name`;
  }
  if (isTest(file) || row.floor > highestPureFloor) return null;
  return `imports ${specifier}: floors 0 to ${highestPureFloor} are pure`;
}

/** State at file scope: anything that can change after the module was loaded. */
function stateFaults(text: string): string[] {
  const source = readSource(text);
  const variable = atFileScope(source, /^[ \t]*(?:export\s+)?(?:let|var)\s/gm);
  const collection = atFileScope(
    source,
    /^[ \t]*(?:export\s+)?const\s+\w+[^=\n]*=\s*(?:new\s+(?:Map|Set|WeakMap|WeakSet)(?:<[^=\n]*>)?\s*\(\s*\)|\[\s*\]|\{\s*\})/gm,
  );
  return [
    ...variable.map((offset) => `${lineAt(text, offset)}: a variable at file scope`),
    ...collection.map((offset) => `${lineAt(text, offset)}: an empty collection at file scope can only be state`),
  ];
}

function sourceFaults(table: Table, name: string, folder: string, file: string): string[] {
  const text = readFileSync(file, "utf8");
  const source = readSource(text);
  const faults: string[] = [];
  for (const found of importsOf(source)) {
    const fault = importFault(table, name, folder, file, found);
    if (fault !== null) faults.push(`${found.line}: ${fault}`);
  }
  if (!isTest(file)) {
    faults.push(...stateFaults(text));
    const lines = text.split("\n").length - 1;
    if (lines > longestFile) faults.push(`${lines}: ${lines} lines, more than ${longestFile}`);
    if (/\/index\.ts$/.test(file)) faults.push("1: no index files, packages export subpaths");
    if (table[name].floor <= highestPureFloor) {
      for (const [pattern, what] of runtimeApis) {
        for (const match of source.codeOnly.matchAll(pattern)) {
          faults.push(`${lineAt(text, match.index)}: uses ${what}: floors 0 to ${highestPureFloor} are pure`);
        }
      }
    }
  }
  return faults.map((fault) => `${relative(folder, file)}:${fault}`);
}

/** Apps and tests may import every package; bun:ffi and state at file scope are not theirs either. */
function outerFaults(root: string, folder: string): string[] {
  return sourceFiles(join(root, folder)).flatMap((file) => {
    const text = readFileSync(file, "utf8");
    const faults = importsOf(readSource(text))
      .filter((found) => found.specifier === "bun:ffi")
      .map((found) => `${found.line}: bun:ffi belongs to packages/${ffiPackage} alone`);
    if (folder === "apps" && !isTest(file)) faults.push(...stateFaults(text));
    return faults.map((fault) => `${relative(root, file)}:${fault}`);
  });
}

/** Checks a whole workspace against the table; an empty list means that all rules hold. */
export function checkWorkspace(root: string, table: Table): string[] {
  const present = folders(join(root, "packages"));
  const faults = Object.keys(table)
    .filter((name) => !present.includes(name))
    .map((name) => `packages/${name}: in the table of floors, but not there`);
  for (const name of present) {
    const folder = join(root, "packages", name);
    const row = table[name];
    if (row === undefined) {
      faults.push(`packages/${name}: not in the table of floors`);
      continue;
    }
    const own = [
      ...manifestFaults(folder, name, row),
      ...readmeFaults(folder),
      ...sourceFiles(folder).flatMap((file) => sourceFaults(table, name, folder, file)),
    ];
    faults.push(...own.map((fault) => `packages/${name}/${fault}`));
  }
  for (const name of folders(join(root, "apps"))) {
    if (!existsSync(join(root, "apps", name, "README.md"))) faults.push(`apps/${name}/README.md: missing`);
  }
  return [...faults, ...outerFaults(root, "apps"), ...outerFaults(root, "tests")];
}

/** Rows that contradict themselves: an import of a higher floor, or of the same one. */
export function tableFaults(table: Table): string[] {
  return Object.entries(table).flatMap(([name, row]) =>
    row.imports
      .filter((other) => table[other] === undefined || table[other].floor >= row.floor)
      .map((other) => `${name} (floor ${row.floor}) may not import ${other}`),
  );
}
