import { readFileSync } from "node:fs";
import type { FlowTimers } from "@passt-ts/backend-sockets/flow-timers";
import type { EphemeralRange } from "./forward-spec.ts";
import { parseResolvConf, type ResolverConfiguration } from "./resolv-conf.ts";

/** The text of a file of the host, or "" where there is none. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Where the host's resolver configuration is (resolv.conf(5)). */
export const RESOLVER_PATH = "/etc/resolv.conf";

/** The host's resolver configuration. */
export const readResolver = (): ResolverConfiguration => parseResolvConf(textOf(RESOLVER_PATH));

/** What tells this machine from others (machine-id(5)); "" on a machine without. */
export const readMachineId = (): string => textOf("/etc/machine-id").trim();

/** The ports that the kernel gives to outgoing connections (ip(7)). */
export function readEphemeralRange(): EphemeralRange {
  const [first, last] = textOf("/proc/sys/net/ipv4/ip_local_port_range").trim().split(/\s+/).map(Number);
  return first > 0 && last >= first ? { first, last } : { first: 32768, last: 60999 };
}

/** Where the kernel's settings of the network are (ip-sysctl and nf_conntrack-sysctl of the kernel's documentation). */
const NETWORK_SETTINGS = "/proc/sys/net/";
const SECONDS_MAX = 86_400;

/**
 * How long the host's own flows wait, for those of the guest: the kernel's settings, each absent where the kernel has none
 * or nonsense. Those of datagrams are those of connection tracking.
 *
 * @param read the text of a file; "" where there is none.
 */
export function readFlowTimers(read: (path: string) => string = textOf): FlowTimers {
  const setting = (name: string, min: number, max: number): number | undefined => {
    const text = read(NETWORK_SETTINGS + name).trim();
    const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
    return value >= min && value <= max ? value : undefined;
  };
  const synLinearTimeouts = setting("ipv4/tcp_syn_linear_timeouts", 0, 127);
  const synRetries = setting("ipv4/tcp_syn_retries", 1, 127);
  const rtoMaxMs = setting("ipv4/tcp_rto_max_ms", 1000, 120_000);
  const oneWay = setting("netfilter/nf_conntrack_udp_timeout", 1, SECONDS_MAX);
  const bothWays = setting("netfilter/nf_conntrack_udp_timeout_stream", 1, SECONDS_MAX);
  return {
    tcp: {
      ...(synLinearTimeouts === undefined ? {} : { synLinearTimeouts }),
      ...(synRetries === undefined ? {} : { synRetries }),
      ...(rtoMaxMs === undefined ? {} : { rtoMaxMs }),
    },
    udp: {
      ...(oneWay === undefined ? {} : { oneWayTimeoutMs: 1000 * oneWay }),
      ...(bothWays === undefined ? {} : { bothWaysTimeoutMs: 1000 * bothWays }),
    },
  };
}
