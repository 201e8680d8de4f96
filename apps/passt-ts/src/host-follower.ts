import type { FamilyConfiguration, LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { SystemError } from "@passt-ts/linux/system-error";
import { formatAddress } from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import { type Configuration, configure, type Surroundings } from "./configuration.ts";
import type { HostNetwork } from "./host-network.ts";
import type { Log } from "./log.ts";
import type { ResolverConfiguration } from "./resolv-conf.ts";
import { UsageError } from "./usage-error.ts";

/** What can change on the host while the daemon runs. */
export interface HostState {
  readonly network: HostNetwork;
  readonly resolver: ResolverConfiguration;
}

/** What a follower goes by. */
export interface HostFollowerOptions {
  readonly line: CommandLine;
  /** What the configuration was made from at the start. */
  readonly surroundings: Surroundings;
  /** The configuration that is in force. */
  readonly configuration: Configuration;
  /** Reads the host again. @throws SystemError, or UsageError when something is gone that an option names. */
  readonly read: () => HostState;
  /** Puts another link in force. */
  readonly apply: (link: LinkConfiguration) => void;
  readonly log: Log;
}

/**
 * Keeps the guest's link in step with the host: what the options leave open follows the host's addresses, routes and
 * resolver. What the host loses and has no other for stays as it was, since the guest's connections hang on it.
 */
export class HostFollower {
  readonly #options: HostFollowerOptions;
  #known: HostState;
  #link: LinkConfiguration;

  constructor(options: HostFollowerOptions) {
    this.#options = options;
    this.#known = options.surroundings;
    this.#link = linkOf(options.configuration);
  }

  /** Reads the host again, and puts what is new in force. */
  follow(): void {
    try {
      this.#follow();
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof SystemError)) throw error;
      this.#options.log("warning", `the host's network cannot be followed now: ${error.message}`);
    }
  }

  #follow(): void {
    const { line, surroundings, read, apply, log } = this.#options;
    const now = read();
    const known = withoutLosses(this.#known, now);
    const warnings: string[] = [];
    const sources = { ...surroundings, ...known, warn: (text: string) => void warnings.push(text) };
    const link = withWayOut(linkOf(configure(line, sources)), line, now.network, known.network);
    this.#known = known;
    if (Bun.deepEquals(link, this.#link)) return;
    for (const text of warnings) log("warning", text);
    log("info", `the host's network has changed: ${describeLink(link)}`);
    this.#link = link;
    apply(link);
  }
}

/** The host as it is now, with what it had before where it has nothing now. */
export function withoutLosses(before: HostState, now: HostState): HostState {
  const { network } = now;
  const resolver = now.resolver.nameServers.length > 0 ? now.resolver : before.resolver;
  const ipv6Stays = network.ipv6 === null && before.network.ipv6 !== null;
  return {
    network: {
      ...network,
      ipv4: network.ipv4 ?? before.network.ipv4,
      ipv6: network.ipv6 ?? before.network.ipv6,
      linkLocal: ipv6Stays ? before.network.linkLocal : network.linkLocal,
      scopeId: ipv6Stays ? before.network.scopeId : network.scopeId,
    },
    resolver,
  };
}

/** Tells a guest whose host has lost its IPv6 that there is no way out by it, unless a gateway was asked for. */
function withWayOut(
  link: LinkConfiguration,
  line: CommandLine,
  now: HostNetwork,
  known: HostNetwork,
): LinkConfiguration {
  const isAsked = line.all("gateway").some((text) => text.includes(":"));
  if (link.ipv6 === null || isAsked || now.ipv6 !== null || known.ipv6 === null) return link;
  return { ...link, ipv6: { ...link.ipv6, isDefaultRouter: false } };
}

/** The part of a configuration that can change while the daemon runs. */
export function linkOf(configuration: Configuration): LinkConfiguration {
  const { ourMac, ourLinkLocal, mtu, ipv4, ipv6, searchDomains, scopeId } = configuration;
  const { hostName, fqdn, leaseSeconds, switches } = configuration;
  return {
    ...{ ourMac, ourLinkLocal, mtu, ipv4, ipv6, searchDomains, scopeId },
    ...(hostName === undefined ? {} : { hostName }),
    ...(fqdn === undefined ? {} : { fqdn }),
    ...(leaseSeconds === undefined ? {} : { leaseSeconds }),
    ...(switches === undefined ? {} : { switches }),
  };
}

function describeLink({ ipv4, ipv6 }: LinkConfiguration): string {
  return [describeFamily("IPv4", ipv4), describeFamily("IPv6", ipv6)].filter((text) => text !== "").join("; ");
}

function describeFamily(name: string, family: FamilyConfiguration | null): string {
  if (family === null) return "";
  const { guestAddress, prefixLength, gateway, nameServers } = family;
  const address = guestAddress === null ? "no address" : `${formatAddress(guestAddress)}/${prefixLength}`;
  const via = gateway === null ? "" : ` via ${formatAddress(gateway)}`;
  const servers = nameServers.length === 0 ? "" : `, name servers ${nameServers.map(formatAddress).join(" ")}`;
  return `${name} ${address}${via}${servers}`;
}
