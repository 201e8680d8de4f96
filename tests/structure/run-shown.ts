// `bun tests/structure/run-shown.ts`: the last part of `bun run check`. Runs the test files that the daemon's README names and holds
// that each test named has passed: none failed, was skipped, or did not run at all.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { shownTests } from "./shown-by.ts";
import { type FileResult, notPassedReason, readTestReport } from "./test-report.ts";

const root = resolve(import.meta.dir, "../..");
const readme = "apps/passt-ts/README.md";

/** Runs test files of one folder, given from the root; their results by the same paths. What the runner says is shown when it failed. */
async function runTests(folder: string, files: readonly string[]): Promise<Map<string, FileResult>> {
  const scratch = mkdtempSync(join(tmpdir(), "shown-by-"));
  const report = join(scratch, "report.xml");
  const paths = files.map((file) => `./${file.slice(folder.length + 1)}`);
  try {
    const command = ["bun", "test", ...paths, "--reporter=junit", `--reporter-outfile=${report}`];
    const runner = Bun.spawn(command, { cwd: join(root, folder), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const said = Promise.all([new Response(runner.stdout).text(), new Response(runner.stderr).text()]);
    if ((await runner.exited) !== 0) console.error((await said).join(""));
    const results = readTestReport(readFileSync(report, "utf8"));
    return new Map([...results].map(([file, result]) => [join(folder, file), result]));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The folder of the package that a file is in. */
const packageOf = (file: string): string => /^(?:tests|[^/]+\/[^/]+)/.exec(file)?.[0] ?? "";

const shown = shownTests(root, readme).flatMap(({ place, test }) => (test === null ? [] : [{ place, ...test }]));
const files = [...new Set(shown.map(({ file }) => file))].sort();
const faults: string[] = [];
for (const [folder, ofFolder] of Map.groupBy(files, packageOf)) {
  const results = await runTests(folder, ofFolder);
  for (const { place, file, name } of shown.filter((one) => packageOf(one.file) === folder)) {
    const reason = notPassedReason(results.get(file), name);
    if (reason !== null) faults.push(`${place}: '${name}' of ${file} ${reason}`);
  }
}
for (const fault of faults) console.error(fault);
console.log(
  faults.length === 0
    ? `The ${shown.length} places where the daemon's README names a test are right: each test was run and has passed.`
    : `${faults.length} tests that the daemon's README names have not passed.`,
);
process.exit(faults.length === 0 ? 0 : 1);
