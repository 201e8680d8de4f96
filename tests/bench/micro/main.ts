// `bun run bench:micro -- [WORD]...`: what the packages' innermost functions cost, those whose names have every word. Each case runs in a
// process of its own, so that no other one has warmed its code up, or spoilt it.

import { readFileSync } from "node:fs";
import { do_not_optimize, measure } from "mitata";
import type { Case } from "./case.ts";
import { checksumCases } from "./checksum-cases.ts";
import { frameCases } from "./frame-cases.ts";
import { iovCases } from "./iov-cases.ts";
import { messageCases } from "./message-cases.ts";
import { ringCases } from "./ring-cases.ts";

const cases: readonly Case[] = [...iovCases, ...checksumCases, ...ringCases, ...frameCases, ...messageCases];
/** With this a process is told that it is for one case alone. */
const onlyFlag = "--only";

/** Nanoseconds of one unit: the median and the best. */
interface Figures {
  readonly median: number;
  readonly best: number;
}

async function measureCase({ make, units = 1 }: Case): Promise<Figures> {
  const work = make();
  const { p50, min } = await measure(() => do_not_optimize(work()));
  return { median: p50 / units, best: min / units };
}

function measureApart(name: string): Figures {
  const run = Bun.spawnSync([process.execPath, import.meta.path, onlyFlag, name], {
    stdout: "pipe",
    stderr: "inherit",
  });
  if (run.exitCode !== 0) throw new Error(`${name}: it ended with ${run.exitCode}`);
  return JSON.parse(run.stdout.toString()) as Figures;
}

const figure = (nanoseconds: number): string => nanoseconds.toPrecision(4).padStart(9);
const args = process.argv.slice(2);
if (args[0] === onlyFlag) {
  const only = cases.find(({ name }) => name === args[1]);
  if (only === undefined) throw new Error(`no case '${args[1]}'`);
  console.log(JSON.stringify(await measureCase(only)));
} else {
  const processor = /model name\s*: (.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch;
  console.log(`Bun ${Bun.version}, ${processor}; nanoseconds\n\n   median      best`);
  for (const { name } of cases.filter((each) => args.every((word) => each.name.includes(word)))) {
    const { median, best } = measureApart(name);
    console.log(`${figure(median)} ${figure(best)}  ${name}`);
  }
}
