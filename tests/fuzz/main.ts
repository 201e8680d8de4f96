// bun run fuzz -- [--seconds N] [--seed S] [--only messages|rings] [--round N]: fuzzes the vhost-user device, with messages and with
// rings and frames, each for N seconds (default 60), and says what it found. --round plays one round alone.

import { parseArgs } from "node:util";
import { againText, type Fuzzed, fuzz } from "./fuzz-run.ts";

const all: readonly Fuzzed[] = ["messages", "rings"];

/** What the command line asks for. @throws Error that says what is wrong with it. */
function readOptions() {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: String(Date.now() & 0xff_ffff) },
      only: { type: "string" },
      round: { type: "string" },
    },
  });
  for (const name of ["seconds", "seed", "round"] as const) {
    if (!/^\d+$/.test(values[name] ?? "0")) throw new Error(`--${name}: '${values[name]}' is no number`);
  }
  const chosen = all.filter((what) => values.only === undefined || values.only === what);
  if (chosen.length === 0) throw new Error(`--only: '${values.only}' is not messages or rings`);
  const part = values.round === undefined ? {} : { firstRound: Number(values.round), rounds: 1 };
  return { chosen, seed: Number(values.seed), seconds: Number(values.seconds), part };
}

function optionsOrEnd(): ReturnType<typeof readOptions> {
  try {
    return readOptions();
  } catch (error) {
    console.error(`fuzz: ${(error as Error).message}`);
    process.exit(2);
  }
}

const { chosen, seed, seconds, part } = optionsOrEnd();
console.log(`seed ${seed}`);
let findings = 0;
for (const what of chosen) {
  const figures = await fuzz({ what, seed, seconds, ...part });
  const { rounds, executions } = figures;
  console.log(`${what}: ${rounds} rounds, ${executions} executions, ${figures.findings.length} findings`);
  for (const found of figures.findings) console.log(`\n${againText(found)}\n${found.why}`);
  findings += figures.findings.length;
}
process.exit(findings === 0 ? 0 : 1);
