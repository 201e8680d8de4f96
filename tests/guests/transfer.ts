// Bulk transfers between a guest and the host, hashed at their end.

import { streamHash } from "./byte-stream.ts";
import type { Guest } from "./guest.ts";
import { resetPort, sinkPort, sourcePort } from "./ports.ts";

export type Direction = "to the host" | "to the guest";

export interface Transfer {
  readonly direction: Direction;
  /** Address by which the guest reaches the host's loopback. */
  readonly address: string;
  readonly connections: number;
  /** Of all connections together. */
  readonly totalBytes: number;
  readonly timeoutMs: number;
}

const hashOfStream = /^[0-9a-f]{64}$/;

/** Shell text for one connection: leaves the hash of what arrived in /tmp/hash.$i. */
function connectionScript({ direction, address }: Transfer, bytes: number): string {
  return direction === "to the guest"
    ? `traffic receive ${address} ${sourcePort} $i ${bytes} | sha256sum >/tmp/hash.$i &`
    : `traffic send ${address} ${sinkPort} $i ${bytes} >/tmp/hash.$i &`;
}

/**
 * Runs the connections side by side while other flows are reset in the middle by either end; throws unless each stream arrived
 * whole and the resets arrived as resets.
 */
export async function transfer(guest: Guest, what: Transfer): Promise<void> {
  const bytes = Math.floor(what.totalBytes / what.connections);
  const resets = 3;
  const resetBytes = 3_000_000;
  const output = await guest.must(
    `rm -f /tmp/hash.* /tmp/reset.*
    for i in $(seq ${what.connections}); do ${connectionScript(what, bytes)} done
    (for i in $(seq ${resets}); do
      traffic abort ${what.address} ${sinkPort} 99 ${resetBytes}
      traffic receive ${what.address} ${resetPort} 99 ${resetBytes} 2>&1 >/dev/null
    done) >/tmp/reset.log 2>&1 &
    wait
    cat /tmp/reset.log
    for i in $(seq ${what.connections}); do read hash rest </tmp/hash.$i; echo "$i $hash"; done`,
    what.timeoutMs,
  );
  const lines = output.split("\n");
  const hashes = lines.slice(-what.connections).map((line) => line.split(" "));
  for (const [stream, hash] of hashes) {
    if (!hashOfStream.test(hash)) throw new Error(`stream ${stream} of ${bytes} bytes did not end:\n${output}`);
    const expected = streamHash(Number(stream), bytes);
    if (hash !== expected) throw new Error(`stream ${stream} of ${bytes} bytes arrived as ${hash}, not ${expected}`);
  }
  const reset = lines.slice(0, -what.connections);
  const count = (text: string): number => reset.filter((line) => line.includes(text)).length;
  if (count("aborted") !== resets || count("Connection reset by peer") !== resets) {
    throw new Error(`of ${resets} flows reset by either end, the guest saw:\n${reset.join("\n")}`);
  }
}
