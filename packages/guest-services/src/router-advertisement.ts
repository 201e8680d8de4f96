/**
 * Router advertisements (RFC 4861 section 4.2) as bytes, made once for each configuration. Control plane: what is in
 * them comes from the configuration, and what was advertised before and no longer holds is taken back.
 */
import { Icmp } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { Ipv6 } from "@passt-ts/wire/ipv6";
import {
  NDP_LIFETIME_INFINITE,
  NdpOptionType,
  PrefixFlag,
  RouterAdvertisement,
  RouterFlag,
  writeNdpDnsServers,
  writeNdpLinkLayer,
  writeNdpMtu,
  writeNdpPrefix,
  writeNdpSearchList,
} from "@passt-ts/wire/ndp";
import { fitSearchList } from "./search-list.ts";

/** The longest packet: the least MTU of IPv6. */
export const ADVERTISEMENT_PACKET_BYTES_MAX = 1280;

const MESSAGE_BYTES_MAX = ADVERTISEMENT_PACKET_BYTES_MAX - Ipv6.headerBytes;
const ROUTER_LIFETIME_SECONDS = 65_535;
const CURRENT_HOP_LIMIT = 255;
const PREFIX_LENGTH = 64;
const DNS_SERVERS_MAX = 16;

/** What is taken back is bounded: the latest of each kind. */
const WITHDRAWN_PREFIXES_MAX = 4;
const WITHDRAWN_SERVERS_MAX = 8;
const WITHDRAWN_NAMES_MAX = 8;
const WITHDRAWN_SEARCH_BYTES_MAX = 128;

/** What the router advertisements say. An address is four words; what is absent is not advertised. */
export interface RouterConfig {
  /** An address whose first 64 bits are the prefix, the others do not count. */
  readonly prefix?: Uint32Array | null;
  /** 0 is none. */
  readonly mtu?: number;
  /** At most 16. */
  readonly dnsServers?: readonly Uint32Array[];
  /** Advertised only beside DNS servers, and only as many as fit. */
  readonly searchDomains?: readonly string[];
  /** Whether the guest is told to ask DHCPv6 for its address. */
  readonly managed?: boolean;
  /** Whether there is a way out through us; true when absent. */
  readonly isDefaultRouter?: boolean;
}

/** What was advertised once and holds no longer. */
export interface Withdrawn {
  readonly prefixes: readonly Uint32Array[];
  readonly dnsServers: readonly Uint32Array[];
  readonly searchDomains: readonly string[];
}

/** Nothing was advertised before. */
export const NOTHING_WITHDRAWN: Withdrawn = { prefixes: [], dnsServers: [], searchDomains: [] };

/**
 * What is to be taken back when `next` replaces `previous`, beside what was to be taken back already. Null is "no
 * router": it advertises nothing.
 */
export function withdrawnBy(
  previous: RouterConfig | null,
  next: RouterConfig | null,
  already: Withdrawn = NOTHING_WITHDRAWN,
): Withdrawn {
  const nextPrefixes = next?.prefix ? [next.prefix] : [];
  const prefixes = previous?.prefix ? [...already.prefixes, previous.prefix] : already.prefixes;
  const servers = [...already.dnsServers, ...(previous?.dnsServers ?? [])];
  const domains = [...already.searchDomains, ...searchDomainsOf(previous)];
  return {
    prefixes: withoutThose(prefixes, nextPrefixes, prefixKey).slice(-WITHDRAWN_PREFIXES_MAX),
    dnsServers: withoutThose(servers, next?.dnsServers ?? [], addressKey).slice(-WITHDRAWN_SERVERS_MAX),
    searchDomains: withoutThose(domains, searchDomainsOf(next), domainKey).slice(-WITHDRAWN_NAMES_MAX),
  };
}

/**
 * The ICMPv6 message, checksum 0, of a router that says what `router` says and takes back what is `withdrawn`.
 *
 * @throws RangeError for too many servers; DomainNameError for a bad search domain.
 */
export function encodeAdvertisement(router: RouterConfig, withdrawn: Withdrawn, ourMac: Uint8Array): Uint8Array {
  const { prefix, mtu, dnsServers = [] } = router;
  if (dnsServers.length > DNS_SERVERS_MAX) throw new RangeError(`at most ${DNS_SERVERS_MAX} DNS servers`);
  const view = new DataView(new ArrayBuffer(MESSAGE_BYTES_MAX));
  let at = writeHeader(view, router.isDefaultRouter === false ? 0 : ROUTER_LIFETIME_SECONDS, router.managed === true);
  if (prefix) at = writePrefix(view, at, prefix, NDP_LIFETIME_INFINITE);
  at = writeNdpLinkLayer(view, at, NdpOptionType.sourceLinkLayer, ourMac);
  if (mtu) at = writeNdpMtu(view, at, mtu);
  if (dnsServers.length > 0) at = writeNdpDnsServers(view, at, NDP_LIFETIME_INFINITE, dnsServers);
  const back = encodeWithdrawn(withdrawn);
  const room = (MESSAGE_BYTES_MAX - at - back.length) & ~7;
  const search = fitSearchList(searchDomainsOf(router), false, room - 8);
  if (search.length > 0) at = writeNdpSearchList(view, at, NDP_LIFETIME_INFINITE, search);
  const message = new Uint8Array(at + back.length);
  message.set(new Uint8Array(view.buffer, 0, at));
  message.set(back, at);
  return message;
}

/**
 * The ICMPv6 message, checksum 0, of a router that is none any more (RFC 4861 section 6.2.5), or not at its former
 * address (section 6.2.8): lifetime 0, and all that only it said taken back.
 *
 * @param withdrawn what nobody says any more; prefixes that still hold are not in it.
 */
export function encodeFarewell(last: RouterConfig, withdrawn: Withdrawn, ourMac: Uint8Array): Uint8Array {
  const dnsServers = (last.dnsServers ?? []).slice(0, WITHDRAWN_SERVERS_MAX);
  const own = { prefixes: withdrawn.prefixes, dnsServers, searchDomains: searchDomainsOf(last) };
  const view = new DataView(new ArrayBuffer(MESSAGE_BYTES_MAX));
  const at = writeNdpLinkLayer(view, writeHeader(view, 0, false), NdpOptionType.sourceLinkLayer, ourMac);
  const back = encodeWithdrawn(own);
  const message = new Uint8Array(at + back.length);
  message.set(new Uint8Array(view.buffer, 0, at));
  message.set(back, at);
  return message;
}

function writeHeader(view: DataView, lifetimeSeconds: number, managed: boolean): number {
  view.setUint8(Icmp.type, Icmpv6Type.routerAdvertisement);
  view.setUint8(RouterAdvertisement.hopLimit, CURRENT_HOP_LIMIT);
  view.setUint8(RouterAdvertisement.flags, managed ? RouterFlag.managed : 0);
  view.setUint16(RouterAdvertisement.lifetime, lifetimeSeconds);
  return RouterAdvertisement.options;
}

/** The host bits are left zero, as RFC 4861 section 4.6.2 demands. */
function writePrefix(view: DataView, at: number, prefix: Uint32Array, lifetimeSeconds: number): number {
  const flags = PrefixFlag.onLink | PrefixFlag.autonomous;
  return writeNdpPrefix(view, at, PREFIX_LENGTH, flags, lifetimeSeconds, lifetimeSeconds, prefix, 0);
}

/** Options with lifetime 0: the guest forgets servers and names at once, a prefix after two hours at the latest (RFC 4862 section 5.5.3). */
function encodeWithdrawn(withdrawn: Withdrawn): Uint8Array {
  const view = new DataView(new ArrayBuffer(MESSAGE_BYTES_MAX));
  let at = 0;
  for (const prefix of withdrawn.prefixes) at = writePrefix(view, at, prefix, 0);
  if (withdrawn.dnsServers.length > 0) at = writeNdpDnsServers(view, at, 0, withdrawn.dnsServers);
  // The latest first: the others give way when there is no room.
  const search = fitSearchList(withdrawn.searchDomains.toReversed(), false, WITHDRAWN_SEARCH_BYTES_MAX - 8);
  if (search.length > 0) at = writeNdpSearchList(view, at, 0, search);
  return new Uint8Array(view.buffer, 0, at);
}

/** A search list goes out only beside servers. */
function searchDomainsOf(router: RouterConfig | null): readonly string[] {
  const { dnsServers = [], searchDomains = [] } = router ?? {};
  return dnsServers.length > 0 ? searchDomains : [];
}

/** The last of each of `all` that is not among `others`, in order. */
function withoutThose<T>(all: readonly T[], others: readonly T[], keyOf: (value: T) => string): T[] {
  const kept = new Map<string, T>();
  for (const value of all) {
    kept.delete(keyOf(value));
    kept.set(keyOf(value), value);
  }
  for (const value of others) kept.delete(keyOf(value));
  return [...kept.values()];
}

function prefixKey(address: Uint32Array): string {
  return `${address[0]} ${address[1]}`;
}

function addressKey(address: Uint32Array): string {
  return address.join(" ");
}

function domainKey(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}
