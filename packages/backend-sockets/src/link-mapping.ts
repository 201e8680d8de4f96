/** What each part of a back-end takes from the configuration of its link. */
import type { AddressMapping } from "@passt-ts/address-map/address-map";
import type { GuestAddresses } from "@passt-ts/address-map/guest-identity";
import type { FamilySettings, LinkSettings } from "@passt-ts/guest-services/link-settings";
import type { FamilyConfiguration, LinkConfiguration } from "./link-configuration.ts";
import type { OutboundFamily, OutboundSettings } from "./outbound.ts";

/** The seconds between 1970 and 2000, from which a DUID counts (RFC 8415 11.2). */
const DUID_EPOCH_SECONDS = 946_684_800;

/** What the guest's addresses mean on the host's side. */
export function addressMappingOf({ ipv4, ipv6, ourLinkLocal }: LinkConfiguration): AddressMapping {
  return {
    gateway4: ipv4?.gateway ?? null,
    gateway6: ipv6?.gateway ?? null,
    ourLinkLocal,
    hostLoopback4: ipv4?.loopback ?? null,
    hostLoopback6: ipv6?.loopback ?? null,
    guestHostAddress4: ipv4?.guestAddress ?? null,
    guestHostAddress6: ipv6?.guestAddress ?? null,
    mapGuestAddress4: ipv4?.mapGuestAddress ?? null,
    mapGuestAddress6: ipv6?.mapGuestAddress ?? null,
    dnsForward4: ipv4?.dnsForward ?? null,
    dnsForward6: ipv6?.dnsForward ?? null,
    dnsHost4: ipv4?.dnsHost ?? null,
    dnsHost6: ipv6?.dnsHost ?? null,
  };
}

/** The addresses that the guest is given. */
export function guestAddressesOf({ ipv4, ipv6 }: LinkConfiguration): GuestAddresses {
  return { ipv4: ipv4?.guestAddress ?? null, ipv6Global: ipv6?.guestAddress ?? null };
}

/** The way out of the host. */
export function outboundSettingsOf({ ipv4, ipv6, scopeId }: LinkConfiguration): OutboundSettings {
  return { ipv4: outboundFamilyOf(ipv4), ipv6: outboundFamilyOf(ipv6), scopeId };
}

function outboundFamilyOf(family: FamilyConfiguration | null): OutboundFamily {
  return {
    address: family?.outboundAddress ?? null,
    interfaceName: family?.outboundInterface ?? null,
    ownAddress: family?.guestAddress ?? null,
  };
}

/**
 * What the guest is told.
 *
 * @param startSeconds since 1970.
 */
export function linkSettingsOf(link: LinkConfiguration, startSeconds: number): LinkSettings {
  const { ourMac, ourLinkLocal, mtu, ipv4, ipv6, searchDomains, hostName, fqdn, switches = {} } = link;
  return {
    ourMac,
    ourLinkLocal,
    mtu,
    ipv4: familySettingsOf(ipv4),
    ipv6: familySettingsOf(ipv6),
    searchDomains,
    ...(hostName === undefined ? {} : { hostName }),
    ...(fqdn === undefined ? {} : { fqdn }),
    duidSeconds: Math.max(0, Math.floor(startSeconds) - DUID_EPOCH_SECONDS),
    // Neighbor discovery is ICMPv6: without that there is none.
    switches: switches.icmp === false ? { ...switches, ndp: false } : switches,
  };
}

function familySettingsOf(family: FamilyConfiguration | null): FamilySettings | null {
  if (family === null) return null;
  const { guestAddress, prefixLength, gateway, nameServers, loopback, mapGuestAddress, dnsForward } = family;
  const ourAddresses = [loopback, mapGuestAddress, dnsForward].filter((address) => !!address) as Uint32Array[];
  const { isDefaultRouter = true, leaseSeconds } = family;
  const lease = leaseSeconds === undefined ? {} : { leaseSeconds };
  return { guestAddress, prefixLength, gateway, nameServers, ourAddresses, isDefaultRouter, ...lease };
}

/**
 * Whether datagrams of the guest that have a socket already may have to take another way: an address means something
 * else, or they leave the host differently.
 */
export function changesWay(before: LinkConfiguration, after: LinkConfiguration): boolean {
  return !isSame(wayOf(before), wayOf(after));
}

function wayOf(link: LinkConfiguration): unknown {
  const hostAddresses = [link.ipv4?.hostAddress ?? null, link.ipv6?.hostAddress ?? null];
  return [addressMappingOf(link), outboundSettingsOf(link), hostAddresses];
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
