import {
  copy,
  equals,
  isBroadcast,
  isIpv4Mapped,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  loopback4,
  loopback6,
} from "./address.ts";
import type { GuestIdentity } from "./guest-identity.ts";

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** Ports of name servers: DNS (RFC 1035), and DNS over TLS or DTLS (RFC 7858, 8094). */
const DNS_PORT = 53;
const DNS_TLS_PORT = 853;

/** What is mapped. Addresses of 4 words; absent or null where there is no such address or the mapping is off. */
export interface AddressMapping {
  /** Our address on the guest's link: own and loopback peers of inbound flows appear from it. */
  readonly gateway4?: Uint32Array | null;
  /** The gateway the guest was told, global or link-local: the same over IPv6, where our link-local address stands in. */
  readonly gateway6?: Uint32Array | null;
  /** Our link-local address on the guest's link. */
  readonly ourLinkLocal: Uint32Array;
  /** The guest's name for the host's loopback (`--map-host-loopback`; the gateway by default); without one the guest cannot. */
  readonly hostLoopback4?: Uint32Array | null;
  readonly hostLoopback6?: Uint32Array | null;
  /** The host's own address that the guest was given too, and so cannot reach. */
  readonly guestHostAddress4?: Uint32Array | null;
  readonly guestHostAddress6?: Uint32Array | null;
  /** The guest's name for the host address it shadows (`--map-guest-addr`). */
  readonly mapGuestAddress4?: Uint32Array | null;
  readonly mapGuestAddress6?: Uint32Array | null;
  /** The guest's name for the host's resolver (`--dns-forward`), on the ports of name servers alone. */
  readonly dnsForward4?: Uint32Array | null;
  readonly dnsForward6?: Uint32Array | null;
  /** The host's resolver (`--dns-host`), which may be on loopback. */
  readonly dnsHost4?: Uint32Array | null;
  readonly dnsHost6?: Uint32Array | null;
}

/** What a map is made of. */
export interface AddressMapOptions extends AddressMapping {
  readonly guest: GuestIdentity;
}

/** Translates between the addresses a guest sees and those of the host's network. */
export class AddressMap {
  readonly #guest: GuestIdentity;
  #mapping: AddressMapping;
  readonly #loopback4: Uint32Array = loopback4();
  readonly #loopback6: Uint32Array = loopback6();

  constructor(options: AddressMapOptions) {
    this.#guest = options.guest;
    this.#mapping = options;
  }

  /** Goes by `mapping` from the next flow on; flows that there are keep the addresses that they have. */
  configure(mapping: AddressMapping): void {
    this.#mapping = mapping;
  }

  /**
   * Where on the host a flow of the guest to `peer` goes. The name of the resolver comes before that of the loopback,
   * which may be the same.
   *
   * @param protocol IP protocol number.
   * @param port destination port; 0 for a protocol without ports.
   * @param out receives 4 words; untouched when the answer is false.
   * @returns false when the guest must not or cannot reach that address: unspecified, loopback, broadcast, and for
   *   everything but UDP multicast.
   */
  toHost(protocol: number, peer: Uint32Array, peerAt: number, port: number, out: Uint32Array): boolean {
    if (isUnspecified(peer, peerAt) || isLoopback(peer, peerAt) || isBroadcast(peer, peerAt)) return false;
    if (isMulticast(peer, peerAt) && protocol !== PROTOCOL_UDP) return false;
    const mapping = this.#mapping;
    const v4 = isIpv4Mapped(peer, peerAt);
    const host = v4 ? mapping.guestHostAddress4 : mapping.guestHostAddress6;
    const loopback = v4 ? mapping.hostLoopback4 : mapping.hostLoopback6;
    const resolver = v4 ? mapping.dnsHost4 : mapping.dnsHost6;
    const isDns = isNameService(protocol, port);
    let goesTo = peer;
    let goesToAt = 0;
    if (isDns && resolver && isSame(peer, peerAt, v4 ? mapping.dnsForward4 : mapping.dnsForward6)) goesTo = resolver;
    else if (isSame(peer, peerAt, loopback)) goesTo = v4 ? this.#loopback4 : this.#loopback6;
    else if (host && isSame(peer, peerAt, v4 ? mapping.mapGuestAddress4 : mapping.mapGuestAddress6)) {
      goesTo = host;
    } else if (!v4 && equals(peer, peerAt, mapping.ourLinkLocal, 0) && !isSame(peer, peerAt, mapping.gateway6)) {
      // The router that the guest sees is this address, and it is not that of the host's own router.
      if (!loopback) return false;
      goesTo = this.#loopback6;
    } else goesToAt = peerAt;
    copy(out, 0, goesTo, goesToAt);
    return true;
  }

  /**
   * As whom a flow from `source` on the host's side appears to the guest.
   *
   * Exactly 127.0.0.1 and ::1 appear as the guest's name for the host's loopback, where it has one; other loopback
   * addresses and the guest's own appear as our address on the link.
   *
   * @param out receives 4 words; untouched when the answer is false.
   * @returns false when there is no address to show: the flow is refused.
   */
  toGuest(source: Uint32Array, out: Uint32Array): boolean {
    const mapping = this.#mapping;
    const guest = this.#guest;
    if (isUnspecified(source, 0) || isMulticast(source, 0) || isBroadcast(source, 0)) return false;
    const v4 = isIpv4Mapped(source, 0);
    const hostLoopback = v4 ? mapping.hostLoopback4 : mapping.hostLoopback6;
    const mapped = v4 ? mapping.mapGuestAddress4 : mapping.mapGuestAddress6;
    const shadowed = v4 ? mapping.guestHostAddress4 : mapping.guestHostAddress6;
    const ours = v4 ? mapping.gateway4 : (mapping.gateway6 ?? mapping.ourLinkLocal);
    let shown: Uint32Array | null | undefined = source;
    if (isLoopback(source, 0)) {
      shown = equals(source, 0, v4 ? this.#loopback4 : this.#loopback6, 0) ? (hostLoopback ?? ours) : ours;
    } else if (shadowed && equals(source, 0, shadowed, 0)) shown = mapped ?? ours;
    else if (v4 ? equals(source, 0, guest.ipv4, 0) : equals(source, 0, guest.ipv6Global, 0)) shown = ours;
    else if (!v4 && equals(source, 0, guest.ipv6LinkLocal, 0)) shown = mapping.ourLinkLocal;
    if (!shown) return false;
    copy(out, 0, shown, 0);
    return true;
  }

  /**
   * Which of the guest's addresses an inbound flow from `peerShown` (see {@link AddressMap.toGuest}) goes to: of the
   * same family, link-local for an IPv6 link-local peer.
   *
   * @returns false while no such address is known.
   */
  guestFor(peerShown: Uint32Array, out: Uint32Array): boolean {
    const guest = this.#guest;
    let address = guest.ipv4;
    if (!isIpv4Mapped(peerShown, 0)) address = isLinkLocal(peerShown, 0) ? guest.ipv6LinkLocal : guest.ipv6Global;
    if (isUnspecified(address, 0)) return false;
    copy(out, 0, address, 0);
    return true;
  }
}

function isNameService(protocol: number, port: number): boolean {
  return (port === DNS_PORT || port === DNS_TLS_PORT) && (protocol === PROTOCOL_UDP || protocol === PROTOCOL_TCP);
}

function isSame(peer: Uint32Array, peerAt: number, address: Uint32Array | null | undefined): boolean {
  return address !== null && address !== undefined && equals(peer, peerAt, address, 0);
}
