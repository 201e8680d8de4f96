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
}
