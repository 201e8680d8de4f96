/** A router and a host behind it, each in a network namespace of its own; for a test whose process is in a new one. */
import { writeFileSync } from "node:fs";
import { ip } from "./namespace.ts";

/** Addresses on the way: ours, the router's towards us, and the far host's. */
export const ROUTER4 = 0x0a010001;
export const FAR4 = 0x0a020002;
export const ROUTER6: Uint32Array = Uint32Array.of(0xfd010000, 0, 0, 1);
export const FAR6: Uint32Array = Uint32Array.of(0xfd020000, 0, 0, 2);
/** Networks that the router refuses to forward to: unreachable, and forbidden. */
export const UNREACHABLE4 = 0x0a090009;
export const UNREACHABLE6: Uint32Array = Uint32Array.of(0xfd090000, 0, 0, 9);
export const FORBIDDEN4 = 0x0a080008;
export const FORBIDDEN6: Uint32Array = Uint32Array.of(0xfd080000, 0, 0, 8);

const SETTINGS: readonly (readonly [string, number])[] = [
  ["ipv4/ip_forward", 1],
  ["ipv4/icmp_ratelimit", 0],
  ["ipv6/conf/all/disable_ipv6", 0],
  ["ipv6/conf/default/disable_ipv6", 0],
  ["ipv6/conf/all/forwarding", 1],
  // Or the first second is spent on finding out whether link-local addresses are taken.
  ["ipv6/conf/default/accept_dad", 0],
  ["ipv6/icmp/ratelimit", 0],
];

/** A process that keeps a network namespace, in which commands can be run. */
class Namespace {
  readonly #holder = Bun.spawn(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 120"], { stdout: "pipe" });

  get pid(): number {
    return this.#holder.pid;
  }

  /** Waits until the namespace is there. */
  async ready(): Promise<void> {
    await this.#holder.stdout.getReader().read();
  }

  run(script: string): void {
    const run = Bun.spawnSync(["nsenter", "-t", String(this.pid), "-n", "sh", "-ec", script], { stderr: "pipe" });
    if (run.exitCode !== 0) throw new Error(`${script}: ${run.stderr.toString()}`);
  }

  close(): void {
    this.#holder.kill();
  }
}

/** Packets from this namespace to FAR4 and FAR6 go through one router. Ends with {@link RoutedPath.close}. */
export class RoutedPath {
  readonly #router: Namespace = new Namespace();
  readonly #far: Namespace = new Namespace();

  static async make(): Promise<RoutedPath> {
    const path = new RoutedPath();
    await path.#router.ready();
    await path.#far.ready();
    path.#setUp();
    return path;
  }

  #setUp(): void {
    for (const name of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, "0");
    writeFileSync("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 0");
    const router = this.#router;
    const far = this.#far;
    for (const namespace of [router, far]) {
      namespace.run(SETTINGS.map(([name, value]) => `echo ${value} > /proc/sys/net/${name}`).join("\n"));
    }
    ip(`link set lo up
      link add way type veth peer name in netns ${router.pid}
      addr add 10.1.0.2/24 dev way
      addr add fd01::2/64 dev way nodad
      link set way up`);
    router.run(`ip link set lo up
      ip link add out type veth peer name way netns ${far.pid}
      ip addr add 10.1.0.1/24 dev in
      ip addr add fd01::1/64 dev in nodad
      ip addr add 10.2.0.1/24 dev out
      ip addr add fd02::1/64 dev out nodad
      ip link set in up
      ip link set out up
      ip route add unreachable 10.9.0.0/16
      ip -6 route add unreachable fd09::/16
      ip route add prohibit 10.8.0.0/16
      ip -6 route add prohibit fd08::/16`);
    far.run(`ip link set lo up
      ip addr add 10.2.0.2/24 dev way
      ip addr add fd02::2/64 dev way nodad
      ip link set way up
      ip route add default via 10.2.0.1
      ip -6 route add default via fd02::1`);
    ip(`route add default via 10.1.0.1
      -6 route add default via fd01::1`);
  }

  close(): void {
    this.#far.close();
    this.#router.close();
  }
}
