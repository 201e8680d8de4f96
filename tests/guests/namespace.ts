// A network namespace that plays the host: an uplink with addresses and default routes, loopback, ping sockets allowed. It exists
// as long as one process of ours in it, so nothing has to be removed, and nothing stays behind even when we are killed.

import { readdirSync, readlinkSync } from "node:fs";
import { Program, runToEnd, type StartOptions } from "./process.ts";

export const host4 = "192.0.2.2";
export const gateway4 = "192.0.2.1";
export const host6 = "2001:db8::2";
export const gateway6 = "2001:db8::1";

// IPv6 may be off by default in containers. An unprivileged user namespace has but one group, hence the second range.
const layOut = `
set -e
for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done
ip link set lo up
ip link add uplink type veth peer name router
ip addr add ${host4}/24 dev uplink
ip addr add ${host6}/64 dev uplink nodad
ip link set uplink up
ip link set router up
ip route add default via ${gateway4}
ip -6 route add default via ${gateway6}
echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range 2>/dev/null || echo "0 0" > /proc/sys/net/ipv4/ping_group_range
`;

export class HostNamespace {
  readonly #holder: Program;
  readonly #enter: readonly string[];

  private constructor(holder: Program, enter: readonly string[]) {
    this.#holder = holder;
    this.#enter = enter;
  }

  /** As root a network namespace; otherwise a user namespace around it, where the system allows that. */
  static async create(): Promise<HostNamespace> {
    const root = process.getuid?.() === 0;
    const holder = new Program(["unshare", root ? "-n" : "-Urn", "sh", "-c", "echo made; exec cat"]);
    try {
      await holder.waitFor(/made/, 5000);
    } catch {
      await holder.kill();
      const need = root
        ? "CAP_SYS_ADMIN"
        : "root, or unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone)";
      throw new Error(`no network namespace of our own: this needs ${need}: ${holder.output.trim()}`);
    }
    const flags = root ? ["-n"] : ["-U", "-n", "--preserve-credentials"];
    const namespace = new HostNamespace(holder, ["nsenter", "-t", String(holder.pid), ...flags, "--"]);
    try {
      namespace.run(["sh", "-c", layOut]);
    } catch (error) {
      await namespace.close();
      throw error;
    }
    return namespace;
  }

  /** Starts a program inside; its pid is the program's own. */
  start(command: readonly string[], options: StartOptions = {}): Program {
    return new Program([...this.#enter, ...command], options);
  }

  /** Runs a program inside to its end. */
  run(command: readonly string[]): string {
    return runToEnd([...this.#enter, ...command]);
  }

  /** Ids of all processes inside, its holder among them. */
  processes(): number[] {
    const inside = readlinkSync(`/proc/${this.#holder.pid}/ns/net`);
    const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return ids.map(Number).filter((id) => namespaceOf(id) === inside);
  }

  async close(): Promise<void> {
    await this.#holder.kill();
  }
}

/** The network namespace of a process; none for one that has just ended. */
function namespaceOf(id: number): string {
  try {
    return readlinkSync(`/proc/${id}/ns/net`);
  } catch {
    return "";
  }
}
