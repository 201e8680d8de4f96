import {
  AddressFlag,
  AddressScope,
  defaultRoute,
  type HostAddress,
  type HostInterface,
  type HostRoute,
  type HostNetwork as KernelNetwork,
  MAIN_ROUTE_TABLE,
  RouteType,
  readHostNetwork as readKernelNetwork,
} from "@passt-ts/linux/host-network";
import { type AddressWords, isIpv4 } from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import type { OptionName } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

/** What the daemon takes from the host's network when the options leave it open, for one address family. */
export interface HostFamily {
  /** For the log. */
  readonly interfaceName?: string;
  /** The address of the interface that is the template, and its prefix. */
  readonly address: AddressWords;
  readonly prefixLength: number;
  /** The next hop of the default route; null for a route without one of this family. */
  readonly gateway: AddressWords | null;
}

/** The host's network as the daemon needs it. */
export interface HostNetwork {
  readonly ipv4: HostFamily | null;
  readonly ipv6: HostFamily | null;
  /** The link-local address of the interface with the IPv6 default route. */
  readonly linkLocal: AddressWords | null;
  /** Index of that interface; 0 when there is none. */
  readonly scopeId: number;
  /** The families whose template has a default route. */
  readonly defaultRoutes: readonly (4 | 6)[];
}

/** An interface that options name, and the option that does. */
export interface NamedInterface {
  readonly name: string;
  readonly option: OptionName;
}

/** The interfaces that options name as the guest's template; null: the host's routes say which one it is. */
export interface TemplateChoice {
  readonly ipv4: NamedInterface | null;
  readonly ipv6: NamedInterface | null;
}

/** The template interfaces that the options ask for: that of -i, or else those that traffic leaves by. */
export function templateChoiceOf(line: CommandLine): TemplateChoice {
  const named = (option: OptionName): NamedInterface | null => {
    const name = line.last(option);
    return name === undefined ? null : { name, option };
  };
  const both = named("interface");
  return { ipv4: both ?? named("outbound-if4"), ipv6: both ?? named("outbound-if6") };
}

/**
 * Reads the host's network from the kernel.
 *
 * @throws UsageError when an interface that an option names is not there. @throws SystemError
 */
export function readHostNetwork(line: CommandLine): HostNetwork {
  const kernel = readKernelNetwork();
  for (const option of ["outbound-if4", "outbound-if6"] as const) {
    const name = line.last(option);
    if (name !== undefined) interfaceNamed(kernel, { name, option });
  }
  return templateOf(kernel, templateChoiceOf(line));
}

const NO_CHOICE: TemplateChoice = { ipv4: null, ipv6: null };

/**
 * Picks what the daemon needs from all there is: for each family the interface that was chosen, or that of the first
 * default route, or that of the first route of all in the main table.
 *
 * @throws UsageError when a chosen interface is not there.
 */
export function templateOf(kernel: KernelNetwork, choice: TemplateChoice = NO_CHOICE): HostNetwork {
  const via4 = templateInterface(kernel, 4, choice.ipv4);
  const via6 = templateInterface(kernel, 6, choice.ipv6);
  const scopeId = via6?.index ?? via4?.index ?? 0;
  const linkLocal = addressesOf(kernel, scopeId, 6).find((address) => address.scope === AddressScope.link);
  return {
    ipv4: via4 === null ? null : familyOf(kernel, via4, 4),
    ipv6: via6 === null ? null : familyOf(kernel, via6, 6),
    linkLocal: linkLocal?.address ?? null,
    scopeId,
    defaultRoutes: ([4, 6] as const).filter((family) => {
      const via = family === 4 ? via4 : via6;
      return via !== null && defaultRouteBy(kernel, via, family) !== null;
    }),
  };
}

function defaultRouteBy(kernel: KernelNetwork, via: HostInterface, family: 4 | 6): HostRoute | null {
  return defaultRoute(
    { ...kernel, routes: kernel.routes.filter((route) => route.interfaceIndex === via.index) },
    family,
  );
}

function templateInterface(kernel: KernelNetwork, family: 4 | 6, chosen: NamedInterface | null): HostInterface | null {
  if (chosen !== null) return interfaceNamed(kernel, chosen);
  const index = defaultRoute(kernel, family)?.interfaceIndex ?? firstRouted(kernel, family);
  return kernel.interfaces.find((one) => one.index === index) ?? null;
}

function interfaceNamed(kernel: KernelNetwork, { name, option }: NamedInterface): HostInterface {
  const found = kernel.interfaces.find((one) => one.name === name);
  if (found === undefined) throw new UsageError(`--${option}: there is no interface '${name}'`);
  return found;
}

/** The index of the first interface that is up, no loopback, and has a route that is more than its link; or undefined. */
function firstRouted(kernel: KernelNetwork, family: 4 | 6): number | undefined {
  const usable = new Set(kernel.interfaces.filter(({ up, loopback }) => up && !loopback).map(({ index }) => index));
  return kernel.routes
    .filter((route) => route.ipVersion === family && route.table === MAIN_ROUTE_TABLE)
    .filter((route) => route.type === RouteType.unicast && !isLinkLocalPrefix(route.destination))
    .find((route) => usable.has(route.interfaceIndex))?.interfaceIndex;
}

/** fe80::/10: every interface with IPv6 has such a route. */
const isLinkLocalPrefix = (words: AddressWords): boolean => (words[0] & 0xffc00000) >>> 0 === 0xfe800000;

/** Addresses that the interface has for good: none that it is still trying out, or is about to give up. */
function addressesOf(kernel: KernelNetwork, interfaceIndex: number, ipVersion: 4 | 6): HostAddress[] {
  const unfit = AddressFlag.tentative | AddressFlag.duplicate | AddressFlag.deprecated;
  return kernel.addresses.filter(
    (address) =>
      address.interfaceIndex === interfaceIndex && address.ipVersion === ipVersion && (address.flags & unfit) === 0,
  );
}

function familyOf(kernel: KernelNetwork, via: HostInterface, family: 4 | 6): HostFamily | null {
  const [address] = addressesOf(kernel, via.index, family)
    .filter(
      ({ scope }) => scope === AddressScope.universe || scope === AddressScope.site || isLinkLocalIpv4(family, scope),
    )
    .sort((a, b) => unfitness(a) - unfitness(b) || b.prefixLength - a.prefixLength);
  if (address === undefined) return null;
  const gateway = defaultRouteBy(kernel, via, family)?.gateway ?? null;
  // The next hop of an IPv4 route may be an IPv6 neighbor (RFC 5549), which is no router that DHCP could tell of.
  const isOfFamily = gateway !== null && isIpv4(gateway) === (family === 4);
  return {
    interfaceName: via.name,
    address: address.address,
    prefixLength: address.prefixLength,
    gateway: isOfFamily ? gateway : null,
  };
}

const isLinkLocalIpv4 = (family: 4 | 6, scope: number): boolean => family === 4 && scope === AddressScope.link;

/** A temporary address goes away while the guest still has it, one of the link reaches nobody behind it. */
function unfitness(address: HostAddress): number {
  if ((address.flags & AddressFlag.temporary) !== 0) return 2;
  return address.scope === AddressScope.link ? 1 : 0;
}
