// `bun tests/conformance/report.ts [--all] [SUITE]...`: plays the suites against our daemon and prints every difference from the record
// that is not listed; with --all also those that are.

import { compareClockWithRecord, compareWithRecord } from "./against-record.ts";
import { differences } from "./differences.ts";
import { clockSuites } from "./scripts/clock.ts";
import { suites } from "./suites.ts";
import { foundText, judge } from "./verdict.ts";

const all = process.argv.includes("--all");
const names = process.argv.slice(2).filter((argument) => argument !== "--all");
const isWanted = ({ name }: { readonly name: string }): boolean => names.length === 0 || names.includes(name);
const results = await compareWithRecord(suites.filter(isWanted), differences);
if (clockSuites.some(isWanted)) {
  for (const [name, found] of await compareClockWithRecord()) if (isWanted({ name })) results.set(name, found);
}
for (const [name, found] of results) {
  if (found instanceof Error) console.log(`${name}: ${found.message}`);
  else for (const difference of all ? found : judge(found, differences).unlisted) console.log(foundText(difference));
}
