import type { ArpConfig } from "./arp.ts";
import type { DhcpConfig } from "./dhcp-config.ts";
import type { Dhcpv6Config } from "./dhcpv6-config.ts";
import type { NdpConfig } from "./ndp.ts";
import type { RouterConfig } from "./router-advertisement.ts";

/** Addresses of one family on the guest's link; an address is four words, IPv4 as IPv4-mapped. */
export interface FamilySettings {
  /** The address given to the guest; null: none is known, so none is handed out. */
  readonly guestAddress: Uint32Array | null;
  /** Of IPv4 only: IPv6 prefixes have 64 bits towards the guest. */
  readonly prefixLength: number;
  /** The router told to the guest; null: there is none, and with IPv4 no DHCP either, which is named by it. */
  readonly gateway: Uint32Array | null;
  readonly nameServers: readonly Uint32Array[];
  /** Addresses beside the gateway that stand for something of the host's, so that the guest must not take them. */
  readonly ourAddresses?: readonly Uint32Array[];
  /** Of IPv6 only: whether there is a way out through us; true when absent. */
  readonly isDefaultRouter?: boolean;
  /** What addresses are leased for; forever when absent. */
  readonly leaseSeconds?: number;
}

/** Which services there are; each is on when absent. */
export interface ServiceSwitches {
  readonly dhcp?: boolean;
  readonly dhcpv6?: boolean;
  /** All of neighbor discovery, router advertisements too. */
  readonly ndp?: boolean;
  readonly routerAdvertisements?: boolean;
  /** Whether DHCP, DHCPv6 and router advertisements name DNS servers. */
  readonly nameServers?: boolean;
  /** Whether they name search domains. */
  readonly searchDomains?: boolean;
}

/** What the guest is told on its link, by whichever service. */
export interface LinkSettings {
  readonly ourMac: Uint8Array;
  readonly ourLinkLocal: Uint32Array;
  /** Bytes of the longest IP packet; 0: none is told. */
  readonly mtu: number;
  /** Null: the family is off, nothing of it is answered. */
  readonly ipv4: FamilySettings | null;
  readonly ipv6: FamilySettings | null;
  readonly searchDomains: readonly string[];
  readonly hostName?: string;
  readonly fqdn?: string;
  /** Seconds since the beginning of 2000 UTC when the DHCPv6 server began, for its identifier. */
  readonly duidSeconds: number;
  readonly switches?: ServiceSwitches;
}

/** What is known of the guest; the current values count at every request. An address is unspecified when unknown. */
export interface GuestOnLink {
  /** All ones until it is known. */
  readonly mac: Uint8Array;
  readonly macObserved: boolean;
  readonly ipv4: Uint32Array;
  readonly ipv6Global: Uint32Array;
  readonly ipv6LinkLocal: Uint32Array;
}

/** What ARP goes by: nothing is ours, and nothing asked for, when IPv4 is off. */
export function arpConfigOf(settings: LinkSettings, guest: GuestOnLink): ArpConfig {
  const { ourMac, ipv4 } = settings;
  if (ipv4 === null) return { ourMac, guestAddresses: [] };
  return { ourMac, ourAddresses: oursOf(ipv4), guestAddresses: [...listOf(ipv4.guestAddress), guest.ipv4] };
}

/** Whether there is neighbor discovery. */
export function hasNdp(settings: LinkSettings): boolean {
  return settings.ipv6 !== null && settings.switches?.ndp !== false;
}

/** What neighbor discovery goes by: there is no router when it or IPv6 is off. */
export function ndpConfigOf(settings: LinkSettings, guest: GuestOnLink): NdpConfig {
  const { ourMac, ourLinkLocal, ipv6, switches = {} } = settings;
  if (ipv6 === null || !hasNdp(settings)) return { ourMac, ourLinkLocal, guestAddresses: [], router: null };
  const router = switches.routerAdvertisements === false ? null : routerConfigOf(settings, ipv6);
  const guestAddresses = [...listOf(ipv6.guestAddress), guest.ipv6Global, guest.ipv6LinkLocal];
  return { ourMac, ourLinkLocal, ourAddresses: oursOf(ipv6), guestAddresses, router };
}

/** What DHCP goes by; null when it or IPv4 is off, or there is no address to hand out or no server to name. */
export function dhcpConfigOf(settings: LinkSettings): DhcpConfig | null {
  const { ourMac, mtu, ipv4, hostName = "", fqdn = "", switches = {} } = settings;
  if (ipv4 === null || switches.dhcp === false || ipv4.guestAddress === null || ipv4.gateway === null) return null;
  return {
    ourMac,
    serverAddress: ipv4.gateway,
    guestAddress: ipv4.guestAddress,
    prefixLength: ipv4.prefixLength,
    router: ipv4.gateway,
    dnsServers: nameServersOf(settings, ipv4),
    searchDomains: searchDomainsOf(settings),
    mtu,
    hostName,
    fqdn,
    ...(ipv4.leaseSeconds === undefined ? {} : { leaseSeconds: ipv4.leaseSeconds }),
  };
}

/** What DHCPv6 goes by; null when it or IPv6 is off, or there is no address to hand out. */
export function dhcpv6ConfigOf(settings: LinkSettings): Dhcpv6Config | null {
  const { ourMac, ourLinkLocal, ipv6, duidSeconds, fqdn = "", switches = {} } = settings;
  if (ipv6 === null || switches.dhcpv6 === false || ipv6.guestAddress === null) return null;
  return {
    ourMac,
    ourLinkLocal,
    guestAddress: ipv6.guestAddress,
    duidSeconds,
    dnsServers: nameServersOf(settings, ipv6),
    searchDomains: searchDomainsOf(settings),
    fqdn,
    ...(ipv6.leaseSeconds === undefined ? {} : { leaseSeconds: ipv6.leaseSeconds }),
  };
}

function routerConfigOf(settings: LinkSettings, ipv6: FamilySettings): RouterConfig {
  return {
    prefix: ipv6.guestAddress,
    mtu: settings.mtu,
    dnsServers: nameServersOf(settings, ipv6),
    searchDomains: searchDomainsOf(settings),
    managed: dhcpv6ConfigOf(settings) !== null,
    isDefaultRouter: ipv6.isDefaultRouter !== false,
  };
}

function nameServersOf(settings: LinkSettings, family: FamilySettings): readonly Uint32Array[] {
  return settings.switches?.nameServers === false ? [] : family.nameServers;
}

function searchDomainsOf(settings: LinkSettings): readonly string[] {
  return settings.switches?.searchDomains === false ? [] : settings.searchDomains;
}

/** Addresses that are ours alone: the guest's own is never among them, whatever else it was made to stand for. */
function oursOf(family: FamilySettings): readonly Uint32Array[] {
  const { guestAddress, gateway, ourAddresses = [] } = family;
  const isGuests = (address: Uint32Array) => guestAddress?.every((word, index) => word === address[index]) ?? false;
  return [...listOf(gateway), ...ourAddresses].filter((address) => !isGuests(address));
}

function listOf(address: Uint32Array | null): readonly Uint32Array[] {
  return address === null ? [] : [address];
}
