import type { FamilyConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { familyAddress, guestAddressOption } from "./address-options.ts";
import { type AddressWords, isLoopback, isUsableUnicast, parseAddress, parseNetmask } from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import type { HostNetwork } from "./host-network.ts";
import { hasFixedNames, type NameSources, nameServiceOf } from "./name-options.ts";
import { UsageError } from "./usage-error.ts";

/** What the addresses of a family are made from besides the options. */
export interface FamilySources extends NameSources {
  readonly network: HostNetwork;
}

/** The guest's addresses in local mode, when the host has no usable interface (RFC 3927: link-local). */
const LOCAL_IPV4 = { address: "169.254.2.1", prefixLength: 16, gateway: "169.254.2.2" };
const LOCAL_ROUTER = "fe80::1";

/** How long a guest may go by what no longer holds: it asks again after half of this time (RFC 2131 section 4.4.5). */
const LEASE_SECONDS = 3600;

/** IPv4 as the guest gets it. @throws UsageError */
export function configureIpv4(line: CommandLine, sources: FamilySources): FamilyConfiguration {
  const host = sources.network.ipv4;
  const given = guestAddressOption(line, 4);
  const local = parseAddress(LOCAL_IPV4.gateway, "-g");
  const asked = gatewayOption(line, 4);
  const gateway = asked ?? (host === null ? local : host.gateway);
  const isFixed = given !== undefined && asked !== undefined && hasFixedNames(line, 4);
  return {
    guestAddress: given?.address ?? host?.address ?? parseAddress(LOCAL_IPV4.address, "-a"),
    prefixLength: prefixLengthOf(line, sources.network),
    ...commonOf(line, sources, 4, gateway),
    ...(isFixed ? {} : { leaseSeconds: LEASE_SECONDS }),
    hostAddress: host?.address ?? null,
  };
}

/** IPv6 as the guest gets it. @throws UsageError */
export function configureIpv6(line: CommandLine, sources: FamilySources): FamilyConfiguration {
  const host = sources.network.ipv6;
  const given = guestAddressOption(line, 6);
  const gateway = gatewayOption(line, 6) ?? (host === null ? parseAddress(LOCAL_ROUTER, "-g") : host.gateway);
  return {
    guestAddress: given?.address ?? host?.address ?? null,
    prefixLength: 64,
    ...commonOf(line, sources, 6, gateway),
    // DHCPv6 names no router.
    ...(given !== undefined && hasFixedNames(line, 6) ? {} : { leaseSeconds: LEASE_SECONDS }),
    hostAddress: host?.address ?? null,
  };
}

/** What both families have. */
function commonOf(line: CommandLine, sources: FamilySources, family: 4 | 6, gateway: AddressWords | null) {
  const loopback = loopbackOption(line, family, gateway);
  const outbound = { line, name: "outbound", label: "-o", accepts: isOutbound } as const;
  const mapGuest = { line, name: "map-guest-addr", label: "--map-guest-addr", none: true } as const;
  return {
    gateway,
    loopback,
    mapGuestAddress: familyAddress(mapGuest, family) ?? null,
    outboundAddress: familyAddress(outbound, family) ?? null,
    outboundInterface: line.last(family === 4 ? "outbound-if4" : "outbound-if6") ?? null,
    ...nameServiceOf(line, sources, family, loopback),
  };
}

/** A source address may be on loopback: what leaves then stays on the host. */
const isOutbound = (address: AddressWords): boolean => isUsableUnicast(address) || isLoopback(address);

function prefixLengthOf(line: CommandLine, network: HostNetwork): number {
  const given = guestAddressOption(line, 4);
  const mask = line.last("netmask");
  if (mask !== undefined) {
    if (given?.prefixLength !== undefined) throw new UsageError("-n: the netmask was given with -a already");
    const bits = parseNetmask(mask, "-n");
    if (bits > 0) return bits;
  }
  if (given !== undefined) return given.prefixLength ?? classfulPrefix(given.address);
  return network.ipv4?.prefixLength ?? LOCAL_IPV4.prefixLength;
}

/** The prefix of an address given without one, by its class (RFC 791). */
function classfulPrefix(address: AddressWords): number {
  const first = address[3] >>> 24;
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}

function gatewayOption(line: CommandLine, family: 4 | 6): AddressWords | undefined {
  return familyAddress({ line, name: "gateway", label: "-g" }, family) ?? undefined;
}

function loopbackOption(line: CommandLine, family: 4 | 6, gateway: AddressWords | null): AddressWords | null {
  const options = { line, name: "map-host-loopback", label: "--map-host-loopback", none: true } as const;
  const given = familyAddress(options, family);
  if (given !== undefined) return given;
  return line.has("no-map-gw") ? null : gateway;
}

/** Our address on the link: the gateway's where it is link-local, else the host interface's own. @throws UsageError */
export function ourLinkLocalOf(line: CommandLine, network: HostNetwork): AddressWords {
  const gateway = gatewayOption(line, 6) ?? network.ipv6?.gateway ?? null;
  if (gateway !== null && isLinkLocal(gateway)) return gateway;
  return (network.ipv6 === null ? null : network.linkLocal) ?? parseAddress(LOCAL_ROUTER, "-g");
}

const isLinkLocal = (address: AddressWords): boolean => (address[0] & 0xffc00000) >>> 0 === 0xfe800000;
