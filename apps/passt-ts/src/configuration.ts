import type { FamilyConfiguration, LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { DomainNameError, encodeDomainName } from "@passt-ts/wire/domain-name";
import {
  type AddressWords,
  formatAddress,
  isIpv4,
  isUsableUnicast,
  parseAddress,
  parseMac,
  parseNetmask,
} from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import { type EphemeralRange, type Forward, parseForwards } from "./forward-spec.ts";
import { deriveGuestMac } from "./guest-mac.ts";
import type { HostNetwork } from "./host-network.ts";
import { type Offload, parseOffloads } from "./offloads.ts";
import type { OptionName } from "./option-table.ts";
import type { ResolverConfiguration } from "./resolv-conf.ts";
import { UsageError } from "./usage-error.ts";

/** All that the data plane needs to know; plain data, so that it can be handed to the Worker. */
export interface Configuration extends LinkConfiguration {
  readonly guestMac: Uint8Array;
  readonly forwards: readonly Forward[];
  readonly peekOffset: boolean;
  readonly offloads: readonly Offload[];
  readonly oneOff: boolean;
  readonly pcapFile: string | null;
  readonly logLevel: "error" | "info" | "debug";
}

/** What the configuration is made from besides the options. */
export interface Surroundings {
  readonly network: HostNetwork;
  readonly resolver: ResolverConfiguration;
  readonly machineId: string;
  readonly socketPath: string;
  readonly ephemeral: EphemeralRange;
  /** Told what is passed over; one line each. */
  readonly warn: (text: string) => void;
}

const MTU_DEFAULT = 65520;
const MTU_MAX = 65521;
const NAME_SERVERS_MAX = 3;
const OUR_MAC_DEFAULT = "9a:55:9a:55:9a:55";

/** Makes the configuration from the options, and from the host where they leave it open. @throws UsageError */
export function configure(line: CommandLine, surroundings: Surroundings): Configuration {
  const ourMac = parseMac(line.last("mac-addr") ?? OUR_MAC_DEFAULT, "-M");
  return {
    mtu: parseCount(line, "mtu", "-m", MTU_DEFAULT, 0, MTU_MAX),
    ourMac,
    guestMac: guestMacOf(line, surroundings, ourMac),
    ourLinkLocal: ourLinkLocalOf(line, surroundings.network),
    ipv4: line.onlyFamily === 6 ? null : configureIpv4(line, surroundings),
    ipv6: line.onlyFamily === 4 ? null : configureIpv6(line, surroundings),
    searchDomains: searchDomainsOf(surroundings),
    scopeId: surroundings.network.scopeId,
    forwards: [
      ...parseForwards("tcp", line.all("tcp-ports"), surroundings.ephemeral),
      ...parseForwards("udp", line.all("udp-ports"), surroundings.ephemeral),
    ],
    peekOffset: !line.has("no-peek-offset"),
    offloads: parseOffloads(line.last("offload")),
    oneOff: line.has("one-off") || line.has("fd"),
    pcapFile: line.last("pcap") ?? null,
    logLevel: line.has("debug") ? "debug" : line.has("quiet") ? "error" : "info",
  };
}

/** A whole number given to an option, within its bounds. @throws UsageError */
export function parseCount(
  line: CommandLine,
  name: OptionName,
  option: string,
  otherwise: number,
  min: number,
  max: number,
): number {
  const text = line.last(name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(`${option}: '${text}' is not a number from ${min} to ${max}`);
  return value;
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

/** The guest's address and prefix in local mode, when the host has no usable interface. */
const LOCAL_IPV4 = { address: "169.254.2.1", prefixLength: 16, gateway: "169.254.2.2" };
const LOCAL_LINK_LOCAL = "fe80::1";

function configureIpv4(line: CommandLine, { network, resolver }: Surroundings): FamilyConfiguration {
  const host = network.ipv4;
  const given = addressOption(line, 4);
  const gateway = gatewayOption(line, 4) ?? (host === null ? parseAddress(LOCAL_IPV4.gateway, "-g") : host.gateway);
  const guestAddress = given?.address ?? host?.address ?? parseAddress(LOCAL_IPV4.address, "-a");
  const maskText = line.last("netmask");
  if (maskText !== undefined && given?.prefixLength !== undefined) {
    throw new UsageError("-n: the netmask was given with -a already");
  }
  const prefixLength =
    maskText !== undefined
      ? parseNetmask(maskText, "-n")
      : (given?.prefixLength ??
        (given !== undefined ? classfulPrefix(given.address) : (host?.prefixLength ?? LOCAL_IPV4.prefixLength)));
  const loopback = loopbackOption(line, 4, gateway);
  return { guestAddress, prefixLength, gateway, loopback, nameServers: nameServersOf(line, resolver, 4, loopback) };
}

function configureIpv6(line: CommandLine, { network, resolver }: Surroundings): FamilyConfiguration {
  const host = network.ipv6;
  const given = addressOption(line, 6);
  const gateway = gatewayOption(line, 6) ?? host?.gateway ?? null;
  const loopback = loopbackOption(line, 6, gateway);
  return {
    guestAddress: given?.address ?? host?.address ?? null,
    prefixLength: 64,
    gateway,
    loopback,
    nameServers: nameServersOf(line, resolver, 6, loopback),
  };
}

interface GivenAddress {
  readonly address: AddressWords;
  readonly prefixLength: number | undefined;
}

function addressOption(line: CommandLine, family: 4 | 6): GivenAddress | undefined {
  const found: GivenAddress[] = [];
  for (const text of line.all("address")) {
    const [host, bits, ...rest] = text.split("/");
    const address = parseAddress(host, "-a");
    if (rest.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits)))
      throw new UsageError(`-a: '${text}' has no valid prefix length`);
    if (!isUsableUnicast(address)) throw new UsageError(`-a: '${text}' is not an address that a guest can have`);
    if (bits !== undefined && Number(bits) > (isIpv4(address) ? 32 : 128))
      throw new UsageError(`-a: '${text}' has no valid prefix length`);
    if (isIpv4(address) === (family === 4))
      found.push({ address, prefixLength: bits === undefined ? undefined : Number(bits) });
  }
  if (found.length > 1) throw new UsageError(`-a: one IPv${family} address only`);
  return found[0];
}

function gatewayOption(line: CommandLine, family: 4 | 6): AddressWords | undefined {
  const found = line.all("gateway").map((text) => {
    const address = parseAddress(text, "-g");
    if (!isUsableUnicast(address)) throw new UsageError(`-g: '${text}' is not an address that a gateway can have`);
    return address;
  });
  const ofFamily = found.filter((address) => isIpv4(address) === (family === 4));
  if (ofFamily.length > 1) throw new UsageError(`-g: one IPv${family} gateway only`);
  return ofFamily[0];
}

function loopbackOption(line: CommandLine, family: 4 | 6, gateway: AddressWords | null): AddressWords | null {
  const texts = line.all("map-host-loopback");
  if (line.has("no-map-gw") || texts.includes("none")) {
    const contradiction = texts.find((text) => text !== "none");
    if (contradiction !== undefined)
      throw new UsageError("--map-host-loopback: an address and 'none' contradict each other");
    return null;
  }
  const given = texts.map((text) => {
    const address = parseAddress(text, "--map-host-loopback");
    if (!isUsableUnicast(address)) throw new UsageError(`--map-host-loopback: '${text}' is not a usable address`);
    return address;
  });
  return given.filter((address) => isIpv4(address) === (family === 4)).at(-1) ?? gateway;
}

/**
 * The name servers told to the guest. A resolver on the host's loopback is out of the guest's reach: the address that
 * means the loopback stands in for it, where there is one.
 */
function nameServersOf(
  line: CommandLine,
  resolver: ResolverConfiguration,
  family: 4 | 6,
  loopback: AddressWords | null,
): readonly AddressWords[] {
  const ofFamily = (address: AddressWords) => isIpv4(address) === (family === 4);
  const texts = line.all("dns");
  if (texts.includes("none")) {
    if (texts.length > 1) throw new UsageError("-D: 'none' goes with no other name server");
    return [];
  }
  if (texts.length > 0)
    return texts
      .map((text) => parseAddress(text, "-D"))
      .filter(ofFamily)
      .slice(0, NAME_SERVERS_MAX);
  const reachable = resolver.nameServers
    .filter(ofFamily)
    .map((address) => (isLoopback(address) ? loopback : address))
    .filter((address) => address !== null);
  return [...new Map(reachable.map((address) => [formatAddress(address), address])).values()].slice(
    0,
    NAME_SERVERS_MAX,
  );
}

const isLoopback = (address: AddressWords): boolean =>
  isIpv4(address) ? address[3] >>> 24 === 127 : formatAddress(address) === "::1";

/** The host's search domains, without those that no message could carry to the guest. */
function searchDomainsOf({ resolver, warn }: Surroundings): readonly string[] {
  return resolver.searchDomains.filter((domain) => {
    try {
      encodeDomainName(domain);
      return true;
    } catch (error) {
      if (!(error instanceof DomainNameError)) throw error;
      warn(`search domain left out: ${error.message}`);
      return false;
    }
  });
}

/** Our address on the link: the gateway's where it is link-local, else the host interface's own. */
function ourLinkLocalOf(line: CommandLine, network: HostNetwork): AddressWords {
  const gateway = gatewayOption(line, 6) ?? network.ipv6?.gateway ?? null;
  if (gateway !== null && isLinkLocal(gateway)) return gateway;
  return network.linkLocal ?? parseAddress(LOCAL_LINK_LOCAL, "-g");
}

const isLinkLocal = (address: AddressWords): boolean => (address[0] & 0xffc00000) >>> 0 === 0xfe800000;

/** The prefix of an address given without one, by its class (RFC 791). */
function classfulPrefix(address: AddressWords): number {
  const first = address[3] >>> 24;
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
