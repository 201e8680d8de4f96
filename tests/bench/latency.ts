// Request and response between a guest and the host, with latency.c at both ends.

import { join } from "node:path";
import { gateway4 } from "../guests/namespace.ts";
import { runToEnd } from "../guests/process.ts";
import type { Contestant } from "./contestant.ts";

export const latencyModes = ["tcp-rr", "tcp-crr", "udp-rr"] as const;
export type LatencyMode = (typeof latencyModes)[number];

/** Where the host's end listens. */
export const latencyPort = 7010;

/** Compiles the program into `folder`; guests and host run the same file. */
export function compileLatency(folder: string): string {
  const path = join(folder, "latency");
  const source = join(import.meta.dir, "latency.c");
  // Addresses are numbers here, so what the linker says of getaddrinfo in static programs does not matter.
  runToEnd(["gcc", "-O2", "-static", "-o", path, source]);
  return path;
}

/** Transactions in a second, one after the other, from the guest to the host's loopback. */
export async function measureLatency(contestant: Contestant, mode: LatencyMode, seconds: number): Promise<number> {
  const output = await contestant.guest.must(
    // Each transaction of tcp-crr leaves a port in TIME-WAIT.
    `echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range
    latency ${mode} ${gateway4} ${latencyPort} ${seconds}`,
    seconds * 1000 + 30_000,
  );
  return Number(output);
}
