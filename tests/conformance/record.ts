// `bun run conformance:record -- --passt PATH [SUITE]...`: plays the suites against a passt and writes down what it answers.

import { release } from "node:os";
import { parseArgs } from "node:util";
import { runToEnd } from "../guests/process.ts";
import { createHost, hostSetUp } from "./host.ts";
import { playAll } from "./play-all.ts";
import { recordFolder, writeRecord } from "./record-file.ts";
import { clockSuites } from "./scripts/clock.ts";
import { suites } from "./suites.ts";

const { values, positionals } = parseArgs({ options: { passt: { type: "string" } }, allowPositionals: true });
const { passt } = values;
if (passt === undefined) {
  console.error("usage: bun run conformance:record -- --passt PATH [SUITE]...");
  process.exit(2);
}
const wanted = [...clockSuites, ...suites].filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const [version] = runToEnd([passt, "--version"]).split("\n");
const host = await createHost();
const played = await playAll({ host, command: [passt], suites: wanted, atOnce: 4, expected: () => () => null });
await host.close();
let failed = false;
for (const [name, suite] of played) {
  if (suite instanceof Error) {
    failed = true;
    console.error(`${name}: ${suite.message}`);
    continue;
  }
  const [date] = new Date().toISOString().split("T");
  writeRecord({ version, date, kernel: release().split("-")[0], hostSetUp, suite });
  const frames = suite.scripts.flatMap((script) => script.steps).reduce((sum, step) => sum + step.received.length, 0);
  console.log(`${name}: ${suite.scripts.length} scripts, ${frames} frames came`);
}
runToEnd([process.execPath, "x", "biome", "format", "--write", recordFolder]);
process.exit(failed ? 1 : 0);
