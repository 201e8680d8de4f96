import { DHCPV6_REFRESH_SECONDS_MIN } from "@passt-ts/wire/dhcpv6";
import { encodeDomainName } from "@passt-ts/wire/domain-name";
import { LIFETIME_INFINITE } from "./dhcpv6-ia.ts";
import { fitSearchList } from "./search-list.ts";

const DNS_SERVERS_MAX = 8;
const SEARCH_BYTES_MAX = 255;
const NO_BYTES = new Uint8Array(0);

/** What a DHCPv6 server hands out. An address is four words; what is absent is not offered. */
export interface Dhcpv6Config {
  readonly ourMac: Uint8Array;
  /** The source of every reply. */
  readonly ourLinkLocal: Uint32Array;
  /** The one address there is to lease. */
  readonly guestAddress: Uint32Array;
  /** The time in the server's DUID, seconds since the beginning of 2000 UTC; to be kept while the server lives. */
  readonly duidSeconds: number;
  /** At most 8. */
  readonly dnsServers?: readonly Uint32Array[];
  /** As many as fit. */
  readonly searchDomains?: readonly string[];
  readonly fqdn?: string;
  /** What the address is leased for, and how soon settings are asked for again; forever when absent. */
  readonly leaseSeconds?: number;
}

/** The data of the options that are the same for every client; empty is not sent. */
export interface Dhcpv6Settings {
  readonly serverId: Uint8Array;
  readonly dnsServers: Uint8Array;
  readonly searchList: Uint8Array;
  readonly fqdn: Uint8Array;
  readonly refreshTime: Uint8Array;
  /** All ones is forever. */
  readonly leaseSeconds: number;
}

/**
 * What `config` sets, in wire format.
 *
 * @throws RangeError for too many servers or an impossible time; DomainNameError for a bad name.
 */
export function encodeDhcpv6Settings(config: Dhcpv6Config): Dhcpv6Settings {
  const { dnsServers = [], searchDomains = [], fqdn = "", leaseSeconds = LIFETIME_INFINITE } = config;
  if (dnsServers.length > DNS_SERVERS_MAX) throw new RangeError(`at most ${DNS_SERVERS_MAX} DNS servers`);
  if (!Number.isInteger(leaseSeconds) || leaseSeconds < 1 || leaseSeconds > LIFETIME_INFINITE) {
    throw new RangeError(`a lease has 1 to ${LIFETIME_INFINITE} seconds, not ${leaseSeconds}`);
  }
  return {
    serverId: duidOf(config.ourMac, config.duidSeconds),
    dnsServers: bytesOf(dnsServers),
    searchList: fitSearchList(searchDomains, false, SEARCH_BYTES_MAX),
    fqdn: fqdn === "" ? NO_BYTES : Uint8Array.from([0, ...encodeDomainName(fqdn)]),
    refreshTime: leaseSeconds === LIFETIME_INFINITE ? NO_BYTES : refreshTimeOf(leaseSeconds),
    leaseSeconds,
  };
}

/** A DUID-LLT (RFC 8415 section 11.2): type 1, hardware type Ethernet, time, MAC address. */
function duidOf(mac: Uint8Array, seconds: number): Uint8Array {
  const duid = new Uint8Array(14);
  const view = new DataView(duid.buffer);
  view.setUint32(0, 0x0001_0001);
  view.setUint32(4, seconds);
  duid.set(mac, 8);
  return duid;
}

/** How soon a client that has no address asks for the settings again (RFC 8415 section 21.23). */
function refreshTimeOf(leaseSeconds: number): Uint8Array {
  const data = new Uint8Array(4);
  new DataView(data.buffer).setUint32(0, Math.max(leaseSeconds, DHCPV6_REFRESH_SECONDS_MIN));
  return data;
}

function bytesOf(addresses: readonly Uint32Array[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(16 * addresses.length));
  for (const [index, words] of addresses.entries()) {
    for (let i = 0; i < 4; i++) view.setUint32(16 * index + 4 * i, words[i]);
  }
  return new Uint8Array(view.buffer);
}
