/** What is told of changes of the network; for a test that made the namespace. */
import { NetworkChanges } from "../network-changes.ts";

/** Whether something was told after each step. */
export interface ChangesReport {
  readonly nothing: boolean;
  readonly link: boolean;
  readonly address: boolean;
  readonly defaultRoute: boolean;
  readonly otherTable: boolean;
  readonly routeGone: boolean;
  readonly addressGone: boolean;
  /** So many that the kernel has to leave some out. */
  readonly flood: boolean;
  readonly afterwards: boolean;
}

function ip(...args: string[]): void {
  const run = Bun.spawnSync(["ip", ...args], { stderr: "pipe" });
  if (run.exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${run.stderr.toString()}`);
}

/** More changes at once than the socket's buffer holds. */
function takeAfterFlood(changes: NetworkChanges): boolean {
  const lines = Array.from({ length: 8000 }, (_, i) => `route add 10.${i >>> 8}.${i & 255}.0/24 dev lo`);
  const run = Bun.spawnSync(["ip", "-batch", "-"], { stdin: Buffer.from(`${lines.join("\n")}\n`), stderr: "pipe" });
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
  return changes.take();
}

using changes = new NetworkChanges();
const after = (...args: string[]): boolean => {
  ip(...args);
  return changes.take();
};
const report: ChangesReport = {
  nothing: changes.take(),
  link: after("link", "set", "lo", "up"),
  address: after("addr", "add", "192.0.2.1/24", "dev", "lo"),
  defaultRoute: after("route", "add", "default", "dev", "lo"),
  otherTable: after("route", "add", "198.51.100.0/24", "dev", "lo", "table", "77"),
  routeGone: after("route", "del", "default"),
  addressGone: after("addr", "del", "192.0.2.1/24", "dev", "lo"),
  flood: takeAfterFlood(changes),
  afterwards: changes.take(),
};
process.stdout.write(JSON.stringify(report));
