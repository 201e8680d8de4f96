import { DhcpOption } from "@passt-ts/wire/dhcp";
import { encodeDomainName } from "@passt-ts/wire/domain-name";
import { fitSearchList } from "./search-list.ts";

const OPTION_BYTES_MAX = 255;
const LEASE_SECONDS_INFINITE = 0xffff_ffff;

/** Flags of option 81: the name is in wire format, the server updates nothing (RFC 4702 section 2.1). */
const FQDN_PREFIX: readonly number[] = [0x04, 0xff, 0xff];

/** What a refusal says to whoever reads the client's log (RFC 2131 table 3: it should say something). */
const REFUSAL = "that address is not to be had here";

/** What a DHCPv4 server hands out. An address is four words, IPv4-mapped; what is absent is not offered. */
export interface DhcpConfig {
  readonly ourMac: Uint8Array;
  /** The server's identifier and the source of its replies: the gateway. */
  readonly serverAddress: Uint32Array;
  /** The one address there is to lease. */
  readonly guestAddress: Uint32Array;
  readonly prefixLength: number;
  readonly router?: Uint32Array | null;
  readonly dnsServers?: readonly Uint32Array[];
  readonly searchDomains?: readonly string[];
  /** 0 is none. */
  readonly mtu?: number;
  readonly hostName?: string;
  readonly fqdn?: string;
  /** Infinite when absent. */
  readonly leaseSeconds?: number;
}

/**
 * The data of every option that `config` sets, by option code: what all replies share, and the message of refusals.
 *
 * @throws RangeError when a value is impossible or longer than an option; DomainNameError for a bad name.
 */
export function encodeDhcpOptions(config: DhcpConfig): ReadonlyMap<number, Uint8Array> {
  const { prefixLength, router, dnsServers = [], searchDomains = [], mtu = 0, hostName = "", fqdn = "" } = config;
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 32) {
    throw new RangeError(`an IPv4 prefix has 0 to 32 bits, not ${prefixLength}`);
  }
  if (!Number.isInteger(mtu) || mtu < 0 || mtu > 0xffff) throw new RangeError(`an MTU has 16 bits, not ${mtu}`);
  const leaseSeconds = config.leaseSeconds ?? LEASE_SECONDS_INFINITE;
  if (!Number.isInteger(leaseSeconds) || leaseSeconds < 1 || leaseSeconds > LEASE_SECONDS_INFINITE) {
    throw new RangeError(`a lease has 1 to ${LEASE_SECONDS_INFINITE} seconds, not ${leaseSeconds}`);
  }
  const options = new Map<number, Uint8Array>();
  const mask = maskOf(prefixLength);
  options.set(DhcpOption.subnetMask, bytesOf([mask]));
  if (router) {
    options.set(DhcpOption.router, bytesOf([router[3]]));
    const isOffSubnet = ((router[3] ^ config.guestAddress[3]) & mask) !== 0;
    if (isOffSubnet) options.set(DhcpOption.classlessRoutes, routesThrough(router[3]));
  }
  if (dnsServers.length > 0) options.set(DhcpOption.dnsServers, bytesOf(dnsServers.map((server) => server[3])));
  if (hostName !== "") options.set(DhcpOption.hostName, asciiOf(hostName));
  if (mtu !== 0) options.set(DhcpOption.interfaceMtu, Uint8Array.of(mtu >>> 8, mtu & 0xff));
  options.set(DhcpOption.leaseTime, bytesOf([leaseSeconds]));
  options.set(DhcpOption.serverIdentifier, bytesOf([config.serverAddress[3]]));
  if (fqdn !== "") options.set(DhcpOption.clientFqdn, Uint8Array.from([...FQDN_PREFIX, ...encodeDomainName(fqdn)]));
  const search = fitSearchList(searchDomains, true, OPTION_BYTES_MAX);
  if (search.length > 0) options.set(DhcpOption.domainSearch, search);
  options.set(
    DhcpOption.message,
    Uint8Array.from(REFUSAL, (character) => character.charCodeAt(0)),
  );
  for (const [code, data] of options) {
    if (data.length > OPTION_BYTES_MAX) throw new RangeError(`DHCP option ${code} is longer than 255 bytes`);
  }
  return options;
}

/**
 * Option 121 for a router that the guest's prefix does not reach (RFC 3442): the router itself on the link, and
 * everything else through it.
 */
function routesThrough(router: number): Uint8Array {
  const address = bytesOf([router]);
  return Uint8Array.from([32, ...address, 0, 0, 0, 0, 0, ...address]);
}

function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
}

function bytesOf(words: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * words.length));
  for (const [index, word] of words.entries()) view.setUint32(4 * index, word);
  return new Uint8Array(view.buffer);
}

function asciiOf(text: string): Uint8Array {
  if (!/^[\x21-\x7e]*$/.test(text)) throw new RangeError(`character outside printable ASCII in "${text}"`);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
