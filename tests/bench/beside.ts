// Two ways to carry a guest's frames, measured in turns where each is worth figures of its own: rows of both, and of their ratio.

import type { Samples } from "./pairs.ts";
import { inTurns, type Plan } from "./plan.ts";
import type { Row } from "./report.ts";
import { directions, type Measured, runIperf } from "./tcp-stream.ts";

/** One of the two. */
export interface Side extends Measured {
  /** By which its guest reaches the host. */
  readonly address: string;
}

export type Sides = readonly [first: Side, second: Side];

/** A row for each side, and one for first / second, turn by turn; the samples hold the first side's as ours. */
export function rowsBeside(sides: Sides, row: Omit<Row, "ours" | "theirs">, { ours, theirs }: Samples): Row[] {
  const [first, second] = sides.map(({ name }) => name);
  const ratios = ours.map((value, turn) => value / theirs[turn]);
  return [
    { ...row, name: `${first}: ${row.name}`, ours, theirs: [] },
    { ...row, name: `${second}: ${row.name}`, ours: theirs, theirs: [] },
    { ...row, name: `${first} / ${second}: ${row.name}`, unit: `ratio of ${row.unit}`, ours: ratios, theirs: [] },
  ];
}

/** One TCP stream each way: rates, and processor time of what each side counts, which `cpuUnit` names. */
export async function streamsBeside(plan: Plan, sides: Sides, mtu: number, cpuUnit = "CPU s/GB"): Promise<Row[]> {
  const rows: Row[] = [];
  for (const direction of directions) {
    const cpu = { ours: [] as number[], theirs: [] as number[] };
    const rates = await inTurns(plan.pairs, sides, async (side) => {
      const figures = await runIperf(side, direction, side.address, 1, plan.seconds);
      (side === sides[0] ? cpu.ours : cpu.theirs).push(figures.cpuSecondsPerGigabyte);
      return figures.gbitPerSecond;
    });
    const name = `TCP ${direction}, IPv4, MTU ${mtu}, 1 flow`;
    rows.push(
      ...rowsBeside(sides, { name, unit: "Gbit/s", higherIsBetter: true }, rates),
      ...rowsBeside(sides, { name, unit: cpuUnit, higherIsBetter: false }, cpu),
    );
  }
  return rows;
}
