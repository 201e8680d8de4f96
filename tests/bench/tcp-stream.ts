// TCP streams between a guest and the host, by iperf3.

import { gateway4, gateway6 } from "../guests/namespace.ts";
import type { Contestant } from "./contestant.ts";
import type { Plan } from "./plan.ts";
import type { Row } from "./report.ts";

/** "out" from guest to host, "in" from host to guest. */
export const directions = ["out", "in"] as const;
type Direction = (typeof directions)[number];

/** What streams are measured on. */
export type Measured = Pick<Contestant, "name" | "guest" | "cpuSeconds">;

/** What one turn came to. */
export interface StreamFigures {
  /** Payload that arrived, in Gbit/s. */
  readonly gbitPerSecond: number;
  /** Processor seconds for each 10^9 bytes that arrived. */
  readonly cpuSecondsPerGigabyte: number;
}

/** Streams for a while between the guest and a server at `address` of the host. */
export async function runIperf(
  contestant: Measured,
  direction: Direction,
  address: string,
  connections: number,
  seconds: number,
): Promise<StreamFigures> {
  const reverse = direction === "in" ? "-R" : "";
  const before = contestant.cpuSeconds();
  const report = await contestant.guest.must(
    `iperf3 -J -i 0 -c ${address} -t ${seconds} -P ${connections} ${reverse} | sed -n '/"sum_received"/,/}/p'`,
    seconds * 1000 + 30_000,
  );
  const cpuSeconds = contestant.cpuSeconds() - before;
  const field = (name: string): number => {
    const value = new RegExp(`"${name}":\\s*([\\d.e+]+)`).exec(report)?.[1];
    if (value === undefined) throw new Error(`iperf3 on ${contestant.name} reported no ${name}:\n${report}`);
    return Number(value);
  };
  return {
    gbitPerSecond: field("bits_per_second") / 1e9,
    cpuSecondsPerGigabyte: cpuSeconds / (field("bytes") / 1e9),
  };
}

/** Streams at one MTU and IP version: for each direction a row for the rate and one for the daemon's processor time. */
export async function streamRows(plan: Plan, mtu: string, ipVersion: 4 | 6, flows: readonly number[]): Promise<Row[]> {
  const address = ipVersion === 4 ? gateway4 : gateway6;
  await using contestants = await plan.contestants(["-m", mtu]);
  if (ipVersion === 6) await contestants.each((contestant) => contestant.guest.waitForIpv6());
  const rows: Row[] = [];
  for (const connections of flows) {
    for (const direction of directions) {
      const name = `TCP ${direction}, IPv${ipVersion}, MTU ${mtu}, ${connections} flow${connections === 1 ? "" : "s"}`;
      const cpu: number[] = [];
      const rates = await contestants.inTurns(async (contestant) => {
        const figures = await runIperf(contestant, direction, address, connections, plan.seconds);
        cpu.push(figures.cpuSecondsPerGigabyte);
        return figures.gbitPerSecond;
      });
      const compared = rates.theirs.length > 0;
      rows.push({ name, unit: "Gbit/s", higherIsBetter: true, ...rates });
      rows.push({
        name,
        unit: "CPU s/GB",
        higherIsBetter: false,
        ours: cpu.filter((_, i) => !compared || i % 2 === 0),
        theirs: cpu.filter((_, i) => compared && i % 2 === 1),
      });
    }
  }
  return rows;
}
