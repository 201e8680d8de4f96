import type { LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { SystemError } from "@passt-ts/linux/system-error";
import type { CommandLine } from "./command-line.ts";
import { type Configuration, configure, type Surroundings } from "./configuration.ts";
import type { HostNetwork } from "./host-network.ts";
import { describeLink, differencesOf, linkWarnings } from "./link-report.ts";
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
    const differences = differencesOf(this.#link, link);
    for (const text of [...warnings, ...linkWarnings(link)]) log("warning", text);
    // Sockets may take another way now, of which the guest sees nothing.
    if (differences.length === 0) log("debug", "the host's ways out have changed");
    else log("info", `the host's network has changed (${differences.join(", ")}): ${describeLink(link)}`);
    this.#link = link;
    apply(link);
  }
}

/** The host as it is now, with what it had before where it has nothing now. */
export function withoutLosses(before: HostState, now: HostState): HostState {
  const { network } = now;
  const resolver = now.resolver.nameServers.length > 0 ? now.resolver : before.resolver;
  const ipv4Stays = hasLost(before.network, network, 4);
  const ipv6Stays = hasLost(before.network, network, 6);
  const routed = [...before.network.defaultRoutes, ...network.defaultRoutes];
  return {
    network: {
      ipv4: ipv4Stays ? before.network.ipv4 : network.ipv4,
      ipv6: ipv6Stays ? before.network.ipv6 : network.ipv6,
      linkLocal: ipv6Stays ? before.network.linkLocal : network.linkLocal,
      scopeId: ipv6Stays ? before.network.scopeId : network.scopeId,
      defaultRoutes: ([4, 6] as const).filter((family) => routed.includes(family)),
    },
    resolver,
  };
}

/**
 * Whether a family's template is worth less to a guest than the one before. Without its default route the host may have
 * but a bridge to other guests left; without an IPv4 gateway there would be no DHCP, and the guest's lease would run out.
 */
function hasLost(before: HostNetwork, now: HostNetwork, family: 4 | 6): boolean {
  const [old, next] = family === 4 ? [before.ipv4, now.ipv4] : [before.ipv6, now.ipv6];
  if (old === null || next === null) return old !== null;
  if (before.defaultRoutes.includes(family) && !now.defaultRoutes.includes(family)) return true;
  return family === 4 && old.gateway !== null && next.gateway === null;
}

/** Tells a guest whose host has lost its IPv6 that there is no way out by it, unless a gateway was asked for. */
function withWayOut(
  link: LinkConfiguration,
  line: CommandLine,
  now: HostNetwork,
  known: HostNetwork,
): LinkConfiguration {
  const isAsked = line.all("gateway").some((text) => text.includes(":"));
  if (link.ipv6 === null || isAsked || now.defaultRoutes.includes(6) || !known.defaultRoutes.includes(6)) return link;
  return { ...link, ipv6: { ...link.ipv6, isDefaultRouter: false } };
}

/** The part of a configuration that can change while the daemon runs. */
export function linkOf(configuration: Configuration): LinkConfiguration {
  const { ourMac, ourLinkLocal, mtu, ipv4, ipv6, searchDomains, scopeId } = configuration;
  const { hostName, fqdn, switches } = configuration;
  return {
    ...{ ourMac, ourLinkLocal, mtu, ipv4, ipv6, searchDomains, scopeId },
    ...(hostName === undefined ? {} : { hostName }),
    ...(fqdn === undefined ? {} : { fqdn }),
    ...(switches === undefined ? {} : { switches }),
  };
}
