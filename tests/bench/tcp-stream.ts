// One iperf3 run between a guest and the host.

import { gateway4 } from "../guests/namespace.ts";
import type { Contestant } from "./contestant.ts";

export type Direction = "out" | "in";

export interface StreamFigures {
  /** Payload that arrived, in Gbit/s. */
  readonly gbitPerSecond: number;
  /** Processor seconds of the daemon for each 10^9 bytes that arrived. */
  readonly cpuSecondsPerGigabyte: number;
}

/** Runs iperf3 in the guest for `seconds`: "out" from guest to host, "in" from host to guest. */
export async function measureTcpStream(
  contestant: Contestant,
  direction: Direction,
  connections: number,
  seconds: number,
): Promise<StreamFigures> {
  const reverse = direction === "in" ? "-R" : "";
  const before = contestant.cpuSeconds;
  const report = await contestant.guest.must(
    `iperf3 -J -i 0 -c ${gateway4} -t ${seconds} -P ${connections} ${reverse} | sed -n '/"sum_received"/,/}/p'`,
    seconds * 1000 + 30_000,
  );
  const cpuSeconds = contestant.cpuSeconds - before;
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
