/** Addresses of one family as the guest sees them; an address is four words, IPv4 as IPv4-mapped. */
export interface FamilyConfiguration {
  /** The address given to the guest; null: none is known, the guest finds its own (IPv6 only). */
  readonly guestAddress: Uint32Array | null;
  readonly prefixLength: number;
  /** The gateway told to the guest; null: there is none. */
  readonly gateway: Uint32Array | null;
  /** The address that means the host's loopback to the guest; null: none does. */
  readonly loopback: Uint32Array | null;
  readonly nameServers: readonly Uint32Array[];
}

/** The guest's link: what it is told and how its addresses map to the host's. */
export interface LinkConfiguration {
  readonly ourMac: Uint8Array;
  /** Our IPv6 address on the link, the source of router advertisements. */
  readonly ourLinkLocal: Uint32Array;
  /** Bytes of the longest IP packet told to the guest; 0: none is told. */
  readonly mtu: number;
  /** Null when the family is switched off: its frames are ignored. */
  readonly ipv4: FamilyConfiguration | null;
  readonly ipv6: FamilyConfiguration | null;
  readonly searchDomains: readonly string[];
  /** Index of the host's interface that link-local IPv6 peers are reached by; 0: none. */
  readonly scopeId: number;
}
