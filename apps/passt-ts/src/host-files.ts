import { readFileSync } from "node:fs";
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
