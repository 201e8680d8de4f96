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

const PROTOCOL_UDP = 17;

/** Addresses of 4 words; null where there is no such address or the mapping is off. */
export interface AddressMapOptions {
  /** Our address on the guest's link: own and loopback peers of inbound flows appear from it. */
  readonly gateway4: Uint32Array | null;
  /** The gateway the guest was told, global or link-local. */
  readonly gateway6: Uint32Array | null;
  /** Our link-local address on the guest's link. */
  readonly ourLinkLocal: Uint32Array;
  /** The guest's name for the host's loopback (`--map-host-loopback`; the gateway by default); null: loopback is off. */
  readonly hostLoopback4: Uint32Array | null;
  readonly hostLoopback6: Uint32Array | null;
  /** The host's own address that the guest was given too, and so cannot reach. */
  readonly guestHostAddress4: Uint32Array | null;
  readonly guestHostAddress6: Uint32Array | null;
  /** The guest's name for the host address it shadows (`--map-guest-addr`). */
  readonly mapGuestAddress4: Uint32Array | null;
  readonly mapGuestAddress6: Uint32Array | null;
  readonly guest: GuestIdentity;
}

/** Translates between the addresses a guest sees and those of the host's network. */
export class AddressMap {
  readonly #options: AddressMapOptions;
  readonly #loopback4: Uint32Array = loopback4();
  readonly #loopback6: Uint32Array = loopback6();

  constructor(options: AddressMapOptions) {
    this.#options = options;
  }

  /**
   * Where on the host a flow of the guest to `peer` goes.
   *
   * @param protocol IP protocol number.
   * @param port destination port; 0 for a protocol without ports. No rule depends on it yet.
   * @param out receives 4 words; untouched when the answer is false.
   * @returns false when the guest must not or cannot reach that address: unspecified, loopback, broadcast, and for
   *   everything but UDP multicast.
   */
  toHost(protocol: number, peer: Uint32Array, peerAt: number, _port: number, out: Uint32Array): boolean {
    const options = this.#options;
    if (isUnspecified(peer, peerAt) || isLoopback(peer, peerAt) || isBroadcast(peer, peerAt)) return false;
    if (isMulticast(peer, peerAt) && protocol !== PROTOCOL_UDP) return false;
    if (isIpv4Mapped(peer, peerAt)) {
      const { hostLoopback4, mapGuestAddress4, guestHostAddress4 } = options;
      if (hostLoopback4 !== null && equals(peer, peerAt, hostLoopback4, 0)) copy(out, 0, this.#loopback4, 0);
      else if (mapGuestAddress4 !== null && guestHostAddress4 !== null && equals(peer, peerAt, mapGuestAddress4, 0)) {
        copy(out, 0, guestHostAddress4, 0);
      } else copy(out, 0, peer, peerAt);
      return true;
    }
    const { hostLoopback6, mapGuestAddress6, guestHostAddress6, ourLinkLocal } = options;
    if (hostLoopback6 !== null && equals(peer, peerAt, hostLoopback6, 0)) copy(out, 0, this.#loopback6, 0);
    else if (mapGuestAddress6 !== null && guestHostAddress6 !== null && equals(peer, peerAt, mapGuestAddress6, 0)) {
      copy(out, 0, guestHostAddress6, 0);
    } else if (equals(peer, peerAt, ourLinkLocal, 0)) {
      // The router that the guest sees is this address, and nobody else on the host's side has it.
      if (hostLoopback6 === null) return false;
      copy(out, 0, this.#loopback6, 0);
    } else copy(out, 0, peer, peerAt);
    return true;
  }

  /**
   * As whom a flow from `source` on the host's side appears to the guest.
   *
   * Exactly 127.0.0.1 and ::1 appear as the guest's name for the host's loopback; other loopback addresses and the
   * guest's own appear as our address on the link.
   *
   * @param out receives 4 words; untouched when the answer is false.
   * @returns false when there is no address to show: the flow is refused.
   */
  toGuest(source: Uint32Array, out: Uint32Array): boolean {
    const options = this.#options;
    const { guest } = options;
    if (isUnspecified(source, 0) || isMulticast(source, 0) || isBroadcast(source, 0)) return false;
    const v4 = isIpv4Mapped(source, 0);
    const hostLoopback = v4 ? options.hostLoopback4 : options.hostLoopback6;
    const mapped = v4 ? options.mapGuestAddress4 : options.mapGuestAddress6;
    const shadowed = v4 ? options.guestHostAddress4 : options.guestHostAddress6;
    const ours = v4 ? options.gateway4 : options.ourLinkLocal;
    let shown: Uint32Array | null = source;
    if (isLoopback(source, 0)) {
      if (hostLoopback === null) return false;
      shown = equals(source, 0, v4 ? this.#loopback4 : this.#loopback6, 0) ? hostLoopback : ours;
    } else if (shadowed !== null && equals(source, 0, shadowed, 0)) shown = mapped ?? ours;
    else if (v4 ? equals(source, 0, guest.ipv4, 0) : equals(source, 0, guest.ipv6Global, 0)) shown = ours;
    else if (!v4 && equals(source, 0, guest.ipv6LinkLocal, 0)) shown = ours;
    if (shown === null) return false;
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
    const { guest } = this.#options;
    let address = guest.ipv4;
    if (!isIpv4Mapped(peerShown, 0)) address = isLinkLocal(peerShown, 0) ? guest.ipv6LinkLocal : guest.ipv6Global;
    if (isUnspecified(address, 0)) return false;
    copy(out, 0, address, 0);
    return true;
  }
}
