import type { LinkConfiguration, LinkSwitches } from "@passt-ts/backend-sockets/link-configuration";
import { parseMac } from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import { configureIpv4, configureIpv6, type FamilySources, ourLinkLocalOf } from "./family-configuration.ts";
import { type EphemeralRange, type Forward, parseForwards } from "./forward-spec.ts";
import { deriveGuestMac } from "./guest-mac.ts";
import type { LogLevel } from "./log.ts";
import { guestNamesOf, searchDomainsOf } from "./name-options.ts";
import { numberOption } from "./number-option.ts";
import { type Offload, parseOffloads } from "./offloads.ts";
import { UsageError } from "./usage-error.ts";

/** All that the data plane needs to know; plain data, so that it can be handed to the Worker. */
export interface Configuration extends LinkConfiguration {
  readonly guestMac: Uint8Array;
  readonly forwards: readonly Forward[];
  /** Forwards may listen at addresses that the host does not have. */
  readonly freebind: boolean;
  readonly peekOffset: boolean;
  readonly offloads: readonly Offload[];
  /** Microseconds that the data plane looks for work before it sleeps. */
  readonly busyPollUs: number;
  readonly oneOff: boolean;
  readonly pcapFile: string | null;
  readonly logLevel: LogLevel;
  /** Milliseconds between two lines of statistics at least; 0: there are none. */
  readonly statisticsIntervalMs: number;
}

/** What the configuration is made from besides the options. */
export interface Surroundings extends FamilySources {
  readonly machineId: string;
  readonly socketPath: string;
  readonly ephemeral: EphemeralRange;
  /** What the guest is told without -m; 65520 when it is left out. */
  readonly mtu?: number;
}

const MTU_DEFAULT = 65520;
const MTU_MAX = 65521;
/** The smallest MTU of a link (RFC 791, RFC 8200). */
const MTU_MIN_IPV4 = 68;
const MTU_MIN_IPV6 = 1280;
const OUR_MAC_DEFAULT = "9a:55:9a:55:9a:55";
const STATISTICS_SECONDS_MAX = 1_000_000;
const BUSY_POLL_US_MAX = 1_000_000;

/** Makes the configuration from the options, and from the host where they leave it open. @throws UsageError */
export function configure(line: CommandLine, surroundings: Surroundings): Configuration {
  const ourMac = parseMac(line.last("mac-addr") ?? OUR_MAC_DEFAULT, "-M");
  const onlyFamily = line.lastOf("ipv4-only", "ipv6-only");
  const switches = switchesOf(line);
  return {
    mtu: mtuOf(line, surroundings),
    ourMac,
    guestMac: guestMacOf(line, surroundings, ourMac),
    ourLinkLocal: ourLinkLocalOf(line, surroundings.network),
    ipv4: onlyFamily === "ipv6-only" ? null : configureIpv4(line, surroundings),
    ipv6: onlyFamily === "ipv4-only" ? null : configureIpv6(line, surroundings),
    searchDomains: searchDomainsOf(line, surroundings),
    scopeId: surroundings.network.scopeId,
    ...guestNamesOf(line),
    switches,
    forwards: forwardsOf(line, switches, surroundings.ephemeral),
    freebind: line.has("freebind"),
    peekOffset: !line.has("no-peek-offset"),
    offloads: parseOffloads(line.last("offload")),
    busyPollUs: numberOption(line, "busy-poll", { otherwise: 0, min: 0, max: BUSY_POLL_US_MAX }),
    oneOff: line.has("one-off") || line.lastOf("fd", "socket") === "fd",
    pcapFile: line.last("pcap") ?? null,
    logLevel: logLevelOf(line),
    statisticsIntervalMs: 1000 * numberOption(line, "stats", { otherwise: 0, min: 0, max: STATISTICS_SECONDS_MAX }),
  };
}

/** How much is logged: what the last option about it says. */
export function logLevelOf(line: CommandLine): LogLevel {
  const last = line.lastOf("quiet", "debug", "trace");
  if (last === "quiet") return "warning";
  if (line.has("trace")) return "trace";
  return last === "debug" ? "debug" : "info";
}

function mtuOf(line: CommandLine, surroundings: Surroundings): number {
  const { warn } = surroundings;
  const mtu = numberOption(line, "mtu", { otherwise: surroundings.mtu ?? MTU_DEFAULT, min: 0, max: MTU_MAX });
  if (mtu === 0) return mtu;
  if (mtu < MTU_MIN_IPV4) warn(`an MTU of ${mtu} is too small for IPv4, which needs ${MTU_MIN_IPV4}`);
  if (mtu < MTU_MIN_IPV6) warn(`an MTU of ${mtu} is too small for IPv6, which needs ${MTU_MIN_IPV6}`);
  return mtu;
}

function guestMacOf(line: CommandLine, surroundings: Surroundings, ourMac: Uint8Array): Uint8Array {
  const text = line.last("guest-mac");
  if (text === undefined) return deriveGuestMac(surroundings.machineId, surroundings.socketPath, ourMac);
  const mac = parseMac(text, "--guest-mac");
  if ((mac[0] & 1) !== 0) throw new UsageError(`--guest-mac: '${text}' is a multicast address`);
  if (mac.every((byte, i) => byte === ourMac[i]))
    throw new UsageError("--guest-mac: the guest cannot have our own MAC address (-M)");
  return mac;
}

function switchesOf(line: CommandLine): Required<LinkSwitches> {
  const ndp = !line.has("no-ndp") && !line.has("no-icmp");
  return {
    tcp: !line.has("no-tcp"),
    udp: !line.has("no-udp"),
    icmp: !line.has("no-icmp"),
    dhcp: !line.has("no-dhcp"),
    dhcpv6: !line.has("no-dhcpv6"),
    ndp,
    routerAdvertisements: ndp && !line.has("no-ra"),
    nameServers: !line.has("no-dhcp-dns"),
    searchDomains: !line.has("no-dhcp-search"),
  };
}

function forwardsOf(line: CommandLine, switches: LinkSwitches, ephemeral: EphemeralRange): readonly Forward[] {
  const tcp = parseForwards("tcp", line.all("tcp-ports"), ephemeral);
  const udp = parseForwards("udp", line.all("udp-ports"), ephemeral);
  if (tcp.length > 0 && switches.tcp === false) throw new UsageError("-t: TCP is switched off by --no-tcp");
  if (udp.length > 0 && switches.udp === false) throw new UsageError("-u: UDP is switched off by --no-udp");
  return [...tcp, ...udp];
}
