// How long a daemon takes to open its socket, and what memory it holds.

import { gateway4 } from "../guests/namespace.ts";
import { createBenchBed } from "./bench-bed.ts";
import type { Contestant, Program } from "./contestant.ts";
import { latencyPort } from "./latency-program.ts";
import { inTurns, type Plan } from "./plan.ts";
import { residentMiB } from "./process-usage.ts";
import type { Row } from "./report.ts";

const flowCount = 1000;
const settleMs = 6000;

/** Milliseconds from the start of the program to its socket, measured from outside. */
async function startUp(program: Program): Promise<number> {
  await using bed = await createBenchBed();
  const started = performance.now();
  await bed.startDaemon([], program.command ?? undefined);
  return performance.now() - started;
}

/** MiB with so many connections open through the daemon. */
async function memoryWithFlows(contestant: Contestant): Promise<number> {
  await contestant.guest.must(
    `latency hold ${gateway4} ${latencyPort} ${flowCount} >/tmp/held & echo $! >/tmp/holder
    for i in $(seq 200); do grep -q held /tmp/held && exit 0; sleep 0.1; done; exit 1`,
    40_000,
  );
  const held = residentMiB(contestant.daemonPid);
  await contestant.guest.must("kill $(cat /tmp/holder); sleep 1");
  return held;
}

export async function startRows(plan: Plan): Promise<Row[]> {
  const samples = await inTurns(plan.pairs, plan.programs, startUp);
  return [{ name: "start to socket", unit: "ms", higherIsBetter: false, ...samples }];
}

export async function memoryRows(plan: Plan): Promise<Row[]> {
  await using contestants = await plan.contestants([]);
  // A guest that has just booted is not idle yet.
  await Bun.sleep(settleMs);
  const idle = await contestants.inTurns(async (contestant) => residentMiB(contestant.daemonPid));
  const busy = await contestants.inTurns(memoryWithFlows);
  return [
    { name: "resident memory, idle guest", unit: "MiB", higherIsBetter: false, ...idle },
    { name: `resident memory, ${flowCount} flows`, unit: "MiB", higherIsBetter: false, ...busy },
  ];
}
