/** Indices in the counters of a DHCPv6 server. */
export const Dhcpv6Counter = {
  requests: 0,
  advertisements: 1,
  replies: 2,
  releases: 3,
  declines: 4,
  otherServer: 5,
  malformed: 6,
  ignored: 7,
  /** Requests sent to us alone instead of the group of all servers. */
  unicast: 8,
  /** Those among the replies that gave the address. */
  leases: 9,
} as const;

/** How many counters there are. */
export const DHCPV6_COUNTERS = 10;
