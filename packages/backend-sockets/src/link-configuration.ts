import type { ServiceSwitches } from "@passt-ts/guest-services/link-settings";

/**
 * Addresses of one family as the guest sees them, and how it leaves the host; an address is four words, IPv4 as
 * IPv4-mapped. What is absent is as if it were null.
 */
export interface FamilyConfiguration {
  /** The address given to the guest; null: none is known, the guest finds its own (IPv6 only). */
  readonly guestAddress: Uint32Array | null;
  readonly prefixLength: number;
  /** The gateway told to the guest; null: there is none. */
  readonly gateway: Uint32Array | null;
  /** The address that means the host's loopback to the guest (`--map-host-loopback`); null: none does. */
  readonly loopback: Uint32Array | null;
  readonly nameServers: readonly Uint32Array[];
  /** The address that means to the guest the host's address that it was given too (`--map-guest-addr`); null: none does. */
  readonly mapGuestAddress?: Uint32Array | null;
  /** The address whose ports 53 and 853 lead to the host's resolver (`--dns-forward`); null: none does. */
  readonly dnsForward?: Uint32Array | null;
  /** The resolver behind {@link FamilyConfiguration.dnsForward} (`--dns-host`), which may be on loopback; null: none. */
  readonly dnsHost?: Uint32Array | null;
  /** Of IPv6 only: whether router advertisements name us as a way out; they do when absent. */
  readonly isDefaultRouter?: boolean;
  /** Seconds that DHCP or DHCPv6 lease the address for; for good when absent. */
  readonly leaseSeconds?: number;
  /** Source address of what leaves the host (`-o`); null: the kernel chooses. */
  readonly outboundAddress?: Uint32Array | null;
  /** Interface that what leaves the host is bound to (`--outbound-if4`, `--outbound-if6`); null: routes decide. */
  readonly outboundInterface?: string | null;
  /** The host's own address on its way out now: when it changes, sockets of datagrams are opened anew. */
  readonly hostAddress?: Uint32Array | null;
}

/** What there is on the link; each is on when absent. */
export interface LinkSwitches extends ServiceSwitches {
  /** The guest's TCP is carried (`--no-tcp`). */
  readonly tcp?: boolean;
  /** The guest's UDP is carried; DHCP is none of it (`--no-udp`). */
  readonly udp?: boolean;
  /** The guest's pings are carried, and there is neighbor discovery (`--no-icmp`). */
  readonly icmp?: boolean;
}

/** The guest's link: what it is told and how its addresses map to the host's. */
export interface LinkConfiguration {
  readonly ourMac: Uint8Array;
  /** Our IPv6 address on the link, the source of router advertisements. */
  readonly ourLinkLocal: Uint32Array;
  /** Bytes of the longest IP packet told to the guest; 0: none is told. It stays while a guest is there. */
  readonly mtu: number;
  /** Null when the family is switched off: its frames are ignored. */
  readonly ipv4: FamilyConfiguration | null;
  readonly ipv6: FamilyConfiguration | null;
  readonly searchDomains: readonly string[];
  /** Index of the host's interface that link-local IPv6 peers are reached by; 0: none. */
  readonly scopeId: number;
  /** The guest's name, without (`-H`) and with (`--fqdn`) its domain; "": none is told. */
  readonly hostName?: string;
  readonly fqdn?: string;
  readonly switches?: LinkSwitches;
}
