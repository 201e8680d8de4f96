import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { openTap, type TapDevice } from "@passt-ts/linux/tap-device";

/**
 * Runs a program of the host to its end. @throws Error with what it said, when it failed.
 *
 * For processes in a network namespace of their own only: {@link assertOwnNamespace}.
 */
export function run(...command: readonly string[]): string {
  const [program, ...options] = command;
  const { status, stdout, stderr } = spawnSync(program, options, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout;
}

/** Throws unless this process is in a fresh network namespace: nothing here may touch the host's network. */
export function assertOwnNamespace(): void {
  const interfaces = readdirSync("/proc/sys/net/ipv4/conf").filter((name) => name !== "all" && name !== "default");
  if (interfaces.some((name) => name !== "lo"))
    throw new Error(`not a fresh network namespace: ${interfaces.join(" ")}`);
  // What the host says by itself on a new interface would come between the tests' frames.
  writeFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

/** Opens a tap that is new, sets it up, and is sure that it carries frames. */
export function openNewTap(name: string, mtu = 9000): TapDevice {
  const tap = openTap(name);
  // Up after it was opened: a carrier that comes later takes the host some time.
  run("ip", "link", "set", name, "mtu", String(mtu), "up");
  return tap;
}
