import { DomainNameError, encodeDomainName } from "@passt-ts/wire/domain-name";
import { familyAddress, familyAddresses } from "./address-options.ts";
import { type AddressWords, formatAddress, isIpv4, isLoopback, isUsableUnicast } from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import type { ResolverConfiguration } from "./resolv-conf.ts";
import { UsageError } from "./usage-error.ts";

const NAME_SERVERS_MAX = 3;
const SEARCH_DOMAINS_MAX = 6;
/** The longest name that the DNS has room for (RFC 1035 section 2.3.4), and that passt takes. */
const HOST_NAME_BYTES_MAX = 253;

/** How the guest of one family resolves names. */
export interface NameService {
  /** Told to the guest. */
  readonly nameServers: readonly AddressWords[];
  /** The address whose ports of name servers lead to {@link NameService.dnsHost}; null: none does. */
  readonly dnsForward: AddressWords | null;
  readonly dnsHost: AddressWords | null;
}

/** What names are resolved by. */
export interface NameSources {
  readonly resolver: ResolverConfiguration;
  /** Told what is passed over. */
  readonly warn: (text: string) => void;
}

/**
 * The name servers of one family. A resolver on the host's loopback is out of the guest's reach: the address of
 * --dns-forward, or else the one that means the loopback, stands in for it and leads to it.
 *
 * @param loopback the address that means the host's loopback, or null. @throws UsageError
 */
export function nameServiceOf(
  line: CommandLine,
  sources: NameSources,
  family: 4 | 6,
  loopback: AddressWords | null,
): NameService {
  const resolvers = sources.resolver.nameServers.filter((address) => isIpv4(address) === (family === 4));
  const given = familyAddresses({ line, name: "dns", label: "-D", accepts: () => true, none: true }, family);
  const forwardOption = { line, name: "dns-forward", label: "--dns-forward", accepts: isUsableUnicast } as const;
  const hostOption = { line, name: "dns-host", label: "--dns-host", accepts: isResolver } as const;
  const dnsHost = familyAddress(hostOption, family) ?? resolvers.at(0) ?? null;
  const asked = familyAddress(forwardOption, family) ?? null;
  if (asked !== null && dnsHost === null)
    sources.warn(`--dns-forward: the host has no IPv${family} resolver that ${formatAddress(asked)} could lead to`);
  const usesHosts = given !== null && given.length === 0;
  const standIn = asked ?? (usesHosts && resolvers.some(isLoopback) ? loopback : null);
  const reachable = resolvers
    .map((address) => (isLoopback(address) ? standIn : address))
    .filter((address) => address !== null);
  const nameServers = given === null ? [] : withoutDoubles(given.length > 0 ? given : reachable);
  if (nameServers.length > NAME_SERVERS_MAX)
    sources.warn(`the guest is told ${NAME_SERVERS_MAX} of ${nameServers.length} IPv${family} name servers`);
  return {
    nameServers: nameServers.slice(0, NAME_SERVERS_MAX),
    dnsForward: dnsHost === null ? null : standIn,
    dnsHost: standIn === null ? null : dnsHost,
  };
}

/** Whether the name servers and search domains that a family's guest is told are given by options, whatever the host's are. */
export function hasFixedNames(line: CommandLine, family: 4 | 6): boolean {
  const servers = familyAddresses({ line, name: "dns", label: "-D", accepts: () => true, none: true }, family);
  const hasServers = servers === null || servers.length > 0 || line.has("no-dhcp-dns");
  return hasServers && (line.has("search") || line.has("no-dhcp-search"));
}

/** A resolver may be on loopback, but must be somebody. */
const isResolver = (address: AddressWords): boolean => isUsableUnicast(address) || isLoopback(address);

function withoutDoubles(addresses: readonly AddressWords[]): readonly AddressWords[] {
  return [...new Map(addresses.map((address) => [formatAddress(address), address])).values()];
}

/** The search domains: those of -S, or the host's without those that no message could carry. @throws UsageError */
export function searchDomainsOf(line: CommandLine, { resolver, warn }: NameSources): readonly string[] {
  const given = givenSearchDomains(line);
  const domains = given ?? resolver.searchDomains.filter((domain) => isTellable(domain, warn));
  if (domains.length > SEARCH_DOMAINS_MAX)
    warn(`the guest is told ${SEARCH_DOMAINS_MAX} of ${domains.length} search domains`);
  return domains.slice(0, SEARCH_DOMAINS_MAX);
}

function givenSearchDomains(line: CommandLine): readonly string[] | null {
  const texts = line.all("search");
  if (texts.length === 0) return null;
  const domains: string[] = [];
  for (const text of texts) {
    const names = text.split(/\s+/).filter((name) => name !== "");
    if (names.length === 0) throw new UsageError(`-S: '${text}' names no domain`);
    if (text === "none") domains.length = 0;
    else domains.push(...names.map((name) => checkedName(name, "-S")));
  }
  return domains;
}

function isTellable(domain: string, warn: (text: string) => void): boolean {
  try {
    encodeDomainName(domain);
    return true;
  } catch (error) {
    if (!(error instanceof DomainNameError)) throw error;
    warn(`search domain left out: ${error.message}`);
    return false;
  }
}

function checkedName(name: string, label: string): string {
  try {
    encodeDomainName(name);
    return name;
  } catch (error) {
    if (!(error instanceof DomainNameError)) throw error;
    throw new UsageError(`${label}: ${error.message}`);
  }
}

/** The guest's names; "" where none is told. @throws UsageError */
export function guestNamesOf(line: CommandLine): { readonly hostName: string; readonly fqdn: string } {
  const hostName = line.last("hostname") ?? "";
  const fqdn = line.last("fqdn") ?? "";
  if (hostName.length > HOST_NAME_BYTES_MAX || !/^[\x21-\x7e]*$/.test(hostName))
    throw new UsageError(`-H: '${hostName}' is not a host name`);
  return { hostName, fqdn: fqdn === "" ? "" : checkedName(fqdn, "--fqdn") };
}
