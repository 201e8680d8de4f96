// bun run fuzz -- [--seconds N] [--seed S] [--only messages|rings] [--round N]: fuzzes the vhost-user device, with messages and with
// rings and frames, each for N seconds (default 60), and says what it found. --round plays one round alone.

import { parseArgs } from "node:util";
import { againText, type Fuzzed, fuzz } from "./fuzz-run.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() & 0xff_ffff) },
    only: { type: "string" },
    round: { type: "string" },
  },
});
const all: readonly Fuzzed[] = ["messages", "rings"];
const chosen = all.filter((what) => values.only === undefined || values.only === what);
if (chosen.length === 0) throw new Error(`--only: '${values.only}' is not messages or rings`);
const seed = Number(values.seed);
const part = values.round === undefined ? {} : { firstRound: Number(values.round), rounds: 1 };
console.log(`seed ${seed}`);
let findings = 0;
for (const what of chosen) {
  const figures = await fuzz({ what, seed, seconds: Number(values.seconds), ...part });
  const { rounds, executions } = figures;
  console.log(`${what}: ${rounds} rounds, ${executions} executions, ${figures.findings.length} findings`);
  for (const found of figures.findings) console.log(`\n${againText(found)}\n${found.why}`);
  findings += figures.findings.length;
}
process.exit(findings === 0 ? 0 : 1);
