import {
  AddressFlag,
  AddressScope,
  defaultRoute,
  type HostAddress,
  type HostRoute,
  type HostNetwork as KernelNetwork,
  readHostNetwork as readKernelNetwork,
} from "@passt-ts/linux/host-network";
import type { AddressWords } from "./address-text.ts";

/** What the daemon takes from the host's network when the options leave it open, for one address family. */
export interface HostFamily {
  /** The address of the interface that holds the default route, and its prefix. */
  readonly address: AddressWords;
  readonly prefixLength: number;
  /** The next hop of the default route; null for a route without one. */
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
}

/** Reads the host's network from the kernel. @throws SystemError */
export function readHostNetwork(): HostNetwork {
  return templateOf(readKernelNetwork());
}

/** Picks what the daemon needs from all there is: for each family the interface of the first default route. */
export function templateOf(kernel: KernelNetwork): HostNetwork {
  const route4 = defaultRoute(kernel, 4);
  const route6 = defaultRoute(kernel, 6);
  const scopeId = route6?.interfaceIndex ?? route4?.interfaceIndex ?? 0;
  const linkLocal = addressesOf(kernel, scopeId, 6).find((address) => address.scope === AddressScope.link);
  return {
    ipv4: familyOf(kernel, route4),
    ipv6: familyOf(kernel, route6),
    linkLocal: linkLocal?.address ?? null,
    scopeId,
  };
}

function addressesOf(kernel: KernelNetwork, interfaceIndex: number, ipVersion: 4 | 6): HostAddress[] {
  return kernel.addresses.filter(
    (address) =>
      address.interfaceIndex === interfaceIndex &&
      address.ipVersion === ipVersion &&
      (address.flags & (AddressFlag.tentative | AddressFlag.duplicate)) === 0,
  );
}

function familyOf(kernel: KernelNetwork, route: HostRoute | null): HostFamily | null {
  if (route === null) return null;
  const address = addressesOf(kernel, route.interfaceIndex, route.ipVersion)
    .filter((candidate) => candidate.scope === AddressScope.universe || candidate.scope === AddressScope.site)
    // A temporary address goes away while the guest still has it.
    .sort((a, b) => (a.flags & AddressFlag.temporary) - (b.flags & AddressFlag.temporary))
    .at(0);
  if (address === undefined) return null;
  return { address: address.address, prefixLength: address.prefixLength, gateway: route.gateway };
}
