// Request and response between a guest and the host, one after the other.

import { gateway4 } from "../guests/namespace.ts";
import type { Contestant } from "./contestant.ts";
import { latencyPort } from "./latency-program.ts";
import { type Placement, placementOf } from "./placement.ts";
import type { Plan } from "./plan.ts";
import type { Row } from "./report.ts";

/** Transactions on one connection, on one each, and of datagrams. */
export const modes = ["tcp-rr", "tcp-crr", "udp-rr"] as const;
type Mode = (typeof modes)[number];

/** Port of the host that leads to the guest's server. */
const forwardedPort = latencyPort + 1;
const forward = `${forwardedPort}:${latencyPort}`;

/** How long ours looks for work before it sleeps in the rows of busy polling. */
const busyPollUs = "200";

/** Each transaction of tcp-crr leaves a port in TIME-WAIT. */
const manyPorts = 'echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range';

const patienceMs = (seconds: number): number => seconds * 1000 + 30_000;

/** Transactions in a second from the guest to an address of the host: its loopback, unless another is given. */
export async function transactions(
  contestant: Pick<Contestant, "guest">,
  mode: Mode,
  seconds: number,
  address: string = gateway4,
): Promise<number> {
  const ask = `latency ${mode} ${address} ${latencyPort} ${seconds}`;
  return Number(await contestant.guest.must(`${manyPorts}; ${ask}`, patienceMs(seconds)));
}

/** Transactions in a second from the host to the guest's server. */
async function transactionsIn(contestant: Contestant, mode: Mode, seconds: number): Promise<number> {
  const ask = contestant.startLatency([mode, "127.0.0.1", String(forwardedPort), String(seconds)]);
  const exitCode = await ask.waitForExit(patienceMs(seconds));
  if (exitCode !== 0) throw new Error(`latency ${mode} to the guest of ${contestant.name}: ${ask.output}`);
  return Number(ask.output);
}

/** Rows of every mode, out of the guest and into it; ours has options of its own. `suffix` goes behind each name. */
async function rowsWith(plan: Plan, ours: readonly string[], placement: Placement, suffix = ""): Promise<Row[]> {
  await using contestants = await plan.contestants(["-t", forward, "-u", forward], ours, placement);
  await contestants.each((contestant) => contestant.guest.must(`latency serve ${latencyPort} >/dev/null 2>&1 &`));
  const rows: Row[] = [];
  // A daemon runs for days: what it is like in its first seconds is not what is asked.
  await contestants.each((contestant) => transactions(contestant, "tcp-rr", plan.seconds));
  for (const mode of modes) {
    const out = await contestants.inTurns((contestant) => transactions(contestant, mode, plan.seconds));
    rows.push({ name: `${mode} out${suffix}`, unit: "1/s", higherIsBetter: true, ...out });
    const into = await contestants.inTurns((contestant) => transactionsIn(contestant, mode, plan.seconds));
    rows.push({ name: `${mode} in${suffix}`, unit: "1/s", higherIsBetter: true, ...into });
  }
  return rows;
}

/** Where they are placed apart, also all on one processor: there the rate tells what a transaction costs, and no wake-up. */
export async function latencyRows(plan: Plan): Promise<Row[]> {
  const rows = await rowsWith(plan, [], plan.placement);
  if (plan.placement.name !== "apart") return rows;
  return [...rows, ...(await rowsWith(plan, [], placementOf("together"), ", on one processor"))];
}

/** The same rows when ours polls, which wants a processor that its peer on the host is not waiting for. */
export async function busyPollRows(plan: Plan): Promise<Row[]> {
  const placement = plan.placement.name === "apart" ? placementOf("guest") : plan.placement;
  const options = ["--busy-poll", busyPollUs];
  return await rowsWith(plan, options, placement, `, ours with ${options.join(" ")}, placed ${placement.name}`);
}
