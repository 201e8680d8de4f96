// `bun tests/structure/run-shown.ts [--from-reports]`: the last part of `bun run check`, and of `bun run test`. Holds that each test that
// the daemon's README names has passed: that it ran, did not fail and was not skipped. It runs their files itself, or reads the reports
// that a run of all tests has left in the packages.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { shownTests } from "./shown-by.ts";
import { notPassedReason, readTestReport } from "./test-report.ts";

const root = resolve(import.meta.dir, "../..");
const readme = "apps/passt-ts/README.md";
const reportName = ".test-report.xml";

/** The folder of the package that a file is in. */
const packageOf = (file: string): string => /^(?:tests|[^/]+\/[^/]+)/.exec(file)?.[0] ?? "";

/** Runs test files of one package, given from the root; the report. What the runner says is shown when it failed. */
async function runTests(folder: string, files: readonly string[]): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), "shown-by-"));
  const report = join(scratch, reportName);
  const paths = files.map((file) => `./${file.slice(folder.length + 1)}`);
  try {
    const command = ["bun", "test", ...paths, "--reporter=junit", `--reporter-outfile=${report}`];
    const runner = Bun.spawn(command, { cwd: join(root, folder), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const said = Promise.all([new Response(runner.stdout).text(), new Response(runner.stderr).text()]);
    if ((await runner.exited) !== 0) console.error((await said).join(""));
    return existsSync(report) ? readFileSync(report, "utf8") : "";
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function leftReport(folder: string): string {
  const path = join(root, folder, reportName);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

const fromReports = process.argv.includes("--from-reports");
const shown = shownTests(root, readme).flatMap(({ place, test }) => (test === null ? [] : [{ place, ...test }]));
const faults: string[] = [];
for (const [folder, tests] of Map.groupBy(shown, ({ file }) => packageOf(file))) {
  const files = [...new Set(tests.map(({ file }) => file))];
  const results = readTestReport(fromReports ? leftReport(folder) : await runTests(folder, files));
  for (const { place, file, name } of tests) {
    const reason = notPassedReason(results.get(file.slice(folder.length + 1)), name);
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
