// One TCP stream each way between memory and memory: a driver of ours instead of a guest, and its thread is the host's end too. What a
// guest's kernel costs is left out, so these rows load the daemon more than any guest can.

import { join } from "node:path";
import { gateway4, host4 } from "../guests/namespace.ts";
import { createBenchBed } from "./bench-bed.ts";
import type { Program as Contender } from "./contestant.ts";
import type { Placement } from "./placement.ts";
import { inTurns, type Plan } from "./plan.ts";
import { cpuSecondsOf } from "./process-usage.ts";
import type { Row } from "./report.ts";

const driverProgram = join(import.meta.dir, "memory/stream-program.ts");
const directions = ["to-host", "to-guest"] as const;
type Direction = (typeof directions)[number];

/** The MTU that a guest is told by default, and the usual one. */
const mtus = [65_520, 1500] as const;
const headerBytes = 40;

interface StreamFigures {
  readonly gbitPerSecond: number;
  readonly cpuSecondsPerGigabyte: number;
}

async function measure(
  contender: Contender,
  placement: Placement,
  direction: Direction,
  mtu: number,
  seconds: number,
): Promise<StreamFigures> {
  await using bed = await createBenchBed();
  const daemon = await bed.startDaemon(["-m", String(mtu)], contender.command ?? undefined, placement.host);
  const { socket } = daemon;
  const segmentBytes = String(mtu - headerBytes);
  const command = [process.execPath, driverProgram, socket, direction, String(seconds), segmentBytes, host4, gateway4];
  const driver = bed.start(command, { processors: placement.guest });
  await driver.waitFor(/begin/, 20_000);
  const before = cpuSecondsOf(daemon.program.pid);
  const [, bytes, elapsed] = await driver.waitFor(/bytes (\d+) seconds ([\d.]+)/, seconds * 1000 + 20_000);
  const cpuSeconds = cpuSecondsOf(daemon.program.pid) - before;
  return {
    gbitPerSecond: (Number(bytes) * 8) / Number(elapsed) / 1e9,
    cpuSecondsPerGigabyte: cpuSeconds / (Number(bytes) / 1e9),
  };
}

/** For each direction and MTU a row for the rate and one for the daemon's processor time. */
export async function memoryStreamRows(plan: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mtu of mtus) {
    for (const direction of directions) {
      const name = `TCP ${direction === "to-host" ? "out" : "in"}, memory to memory, MTU ${mtu}`;
      const cpu: { readonly ours: number[]; readonly theirs: number[] } = { ours: [], theirs: [] };
      const rates = await inTurns(plan.pairs, plan.programs, async (contender) => {
        const figures = await measure(contender, plan.placement, direction, mtu, plan.seconds);
        (contender === plan.programs[0] ? cpu.ours : cpu.theirs).push(figures.cpuSecondsPerGigabyte);
        return figures.gbitPerSecond;
      });
      rows.push({ name, unit: "Gbit/s", higherIsBetter: true, ...rates });
      rows.push({ name, unit: "CPU s/GB", higherIsBetter: false, ...cpu });
    }
  }
  return rows;
}
