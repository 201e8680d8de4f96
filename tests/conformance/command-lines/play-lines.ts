// Tries all command lines with a program, in namespaces where its user is root of nothing else: so it finds the same as whoever
// runs this, and has nobody to become.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../../guests/process.ts";
import { commandLines } from "./lines.ts";
import type { TriedLine } from "./tried-line.ts";

/** Two cores hide each other's waits. */
const SHARES = 3;
const TIMEOUT_MS = 120_000;

const resolvConf = `nameserver 198.51.100.53
nameserver 2001:db8:53::53
`;

const layOut = `
for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done
ip link set lo up
ip link add uplink type veth peer name router
ip addr add 192.0.2.2/24 dev uplink
ip addr add 2001:db8::2/64 dev uplink nodad
ip link set uplink up
ip link set router up
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
`;

/** What a record says about the host: the commands, and the name servers. */
export const lineHostSetUp: readonly string[] = [...layOut.trim().split("\n"), ...resolvConf.trim().split("\n")];

/** What came of each line, in their order. @throws Error when one could not be tried. */
export async function playLines(command: readonly string[]): Promise<TriedLine[]> {
  const folder = mkdtempSync(join(tmpdir(), "lines-"));
  const resolver = join(folder, "resolv.conf");
  writeFileSync(resolver, resolvConf);
  const script = `set -e${layOut}mount --bind ${resolver} "$(realpath /etc/resolv.conf)"\nexec "$@"`;
  const inside = ["unshare", "-Urnm", "sh", "-c", script, "sh", process.execPath, join(import.meta.dir, "player.ts")];
  const players = Array.from({ length: SHARES }, (_, share) => {
    return new Program([...inside, String(share), String(SHARES), ...command]);
  });
  try {
    const shares = await Promise.all(players.map(sharePlayed));
    return commandLines.map((_, index) => shares[index % SHARES][Math.floor(index / SHARES)]);
  } finally {
    for (const player of players) await player.kill();
    rmSync(folder, { recursive: true });
  }
}

async function sharePlayed(player: Program): Promise<TriedLine[]> {
  const exitCode = await player.waitForExit(TIMEOUT_MS);
  if (exitCode !== 0) throw new Error(`player.ts ended with ${exitCode}:\n${player.output}`);
  return JSON.parse(player.output.trim().split("\n").at(-1) ?? "") as TriedLine[];
}
