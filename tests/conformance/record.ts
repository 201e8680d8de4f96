// `bun run conformance:record -- --passt PATH [SUITE]...`: plays the suites against a passt and writes down what it answers.

import { release } from "node:os";
import { runToEnd } from "../guests/process.ts";
import { commandLinesName, recordCommandLines } from "./command-lines/record-lines.ts";
import { hostSetUp } from "./host.ts";
import { playAll } from "./play-all.ts";
import { recordArguments } from "./record-arguments.ts";
import { recordFolder, writeRecord } from "./record-file.ts";
import { clockSuites } from "./scripts/clock.ts";
import { suites } from "./suites.ts";

const all = [...clockSuites, ...suites];
const asked = recordArguments(process.argv.slice(2), [...all.map(({ name }) => name), commandLinesName]);
if (typeof asked === "string") {
  console.error(asked);
  process.exit(2);
}
const { passt, version, names } = asked;
const wanted = all.filter(({ name }) => names.includes(name));
const played = await playAll({ command: [passt], suites: wanted, atOnce: 4, expected: () => () => null });
let failed = false;
for (const [name, suite] of played) {
  if (suite instanceof Error) {
    failed = true;
    console.error(`${name}: ${suite.message}`);
    continue;
  }
  const [date] = new Date().toISOString().split("T");
  const host = hostSetUp(wanted.find((suite) => suite.name === name)?.host);
  writeRecord({ version, date, kernel: release().split("-")[0], hostSetUp: host, suite });
  const frames = suite.scripts.flatMap((script) => script.steps).reduce((sum, step) => sum + step.received.length, 0);
  console.log(`${name}: ${suite.scripts.length} scripts, ${frames} frames came`);
}
if (names.includes(commandLinesName)) {
  const count = await recordCommandLines(passt, version);
  console.log(`${commandLinesName}: ${count} lines`);
}
runToEnd([process.execPath, "x", "biome", "format", "--write", recordFolder]);
process.exit(failed ? 1 : 0);
