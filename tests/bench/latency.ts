// Request and response between a guest and the host, one after the other.

import { gateway4 } from "../guests/namespace.ts";
import type { Contestant } from "./contestant.ts";
import { latencyPort } from "./latency-program.ts";
import type { Plan } from "./plan.ts";
import type { Row } from "./report.ts";

/** Transactions on one connection, on one each, and of datagrams. */
export const modes = ["tcp-rr", "tcp-crr", "udp-rr"] as const;

/** Transactions in a second from the guest to an address of the host: its loopback, unless another is given. */
export async function transactions(
  contestant: Contestant,
  mode: (typeof modes)[number],
  seconds: number,
  address: string = gateway4,
): Promise<number> {
  const output = await contestant.guest.must(
    // Each transaction of tcp-crr leaves a port in TIME-WAIT.
    `echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range
    latency ${mode} ${address} ${latencyPort} ${seconds}`,
    seconds * 1000 + 30_000,
  );
  return Number(output);
}

export async function latencyRows(plan: Plan): Promise<Row[]> {
  await using contestants = await plan.contestants([]);
  const rows: Row[] = [];
  for (const mode of modes) {
    const samples = await contestants.inTurns((contestant) => transactions(contestant, mode, plan.seconds));
    rows.push({ name: mode, unit: "1/s", higherIsBetter: true, ...samples });
  }
  return rows;
}
