/**
 * Trust: the guest writes the bytes that are observed here. It can claim any address and thereby steer where inbound
 * flows on its own link go, which it controls anyway; nothing else depends on them.
 */

import {
  copy,
  isBroadcast,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  readIpv4,
  readIpv6,
} from "./address.ts";

/** The addresses that the guest is given, 4 words each; null: no such address. */
export interface GuestAddresses {
  readonly ipv4: Uint32Array | null;
  readonly ipv6Global: Uint32Array | null;
}

/** What is configured for the guest. */
export interface GuestIdentityOptions extends GuestAddresses {
  /** The address of our end of the link. */
  readonly ourMac: Uint8Array;
}

/** What is known of the guest on its link: configured until observed. */
export class GuestIdentity {
  /** 6 bytes; all ones (broadcast) until a frame was seen. */
  readonly mac: Uint8Array = new Uint8Array(6).fill(0xff);
  readonly ourMac: Uint8Array;
  /** 4 words each; unspecified (`::`) while nothing is known. */
  readonly ipv4: Uint32Array = new Uint32Array(4);
  readonly ipv6Global: Uint32Array = new Uint32Array(4);
  readonly ipv6LinkLocal: Uint32Array = new Uint32Array(4);
  macObserved = false;
  ipv4Observed = false;
  ipv6GlobalObserved = false;
  ipv6LinkLocalObserved = false;
  #configured: GuestAddresses;
  readonly #scratch: Uint32Array = new Uint32Array(4);

  constructor(options: GuestIdentityOptions) {
    this.#configured = options;
    this.ourMac = options.ourMac.slice();
    this.reset();
  }

  /**
   * Learns the source addresses of one frame from the guest.
   *
   * @param ipVersion 0 for a frame without an IP header (ARP).
   * @param sourceAddressAt where the IP source address begins in `view`.
   */
  observe(view: DataView, sourceMacAt: number, ipVersion: 0 | 4 | 6, sourceAddressAt: number): void {
    if ((view.getUint8(sourceMacAt) & 1) === 0) {
      for (let i = 0; i < 6; i++) this.mac[i] = view.getUint8(sourceMacAt + i);
      this.macObserved = true;
    }
    if (ipVersion === 0) return;
    const source = this.#scratch;
    if (ipVersion === 4) readIpv4(view, sourceAddressAt, source);
    else readIpv6(view, sourceAddressAt, source);
    if (isUnspecified(source, 0) || isMulticast(source, 0) || isBroadcast(source, 0) || isLoopback(source, 0)) return;
    if (ipVersion === 4) {
      copy(this.ipv4, 0, source, 0);
      this.ipv4Observed = true;
    } else if (isLinkLocal(source, 0)) {
      copy(this.ipv6LinkLocal, 0, source, 0);
      this.ipv6LinkLocalObserved = true;
    } else {
      copy(this.ipv6Global, 0, source, 0);
      this.ipv6GlobalObserved = true;
    }
  }

  /** Forgets what was observed: the guest is a new one. */
  reset(): void {
    this.mac.fill(0xff);
    this.macObserved = false;
    this.ipv4Observed = false;
    this.ipv6GlobalObserved = false;
    this.ipv6LinkLocalObserved = false;
    this.ipv6LinkLocal.fill(0);
    this.configure(this.#configured);
  }

  /** The guest is given other addresses from now on; those that it was seen with stay until it is seen with others. */
  configure(addresses: GuestAddresses): void {
    this.#configured = addresses;
    const { ipv4, ipv6Global } = addresses;
    if (!this.ipv4Observed) setOrClear(this.ipv4, ipv4);
    if (!this.ipv6GlobalObserved) setOrClear(this.ipv6Global, ipv6Global);
  }
}

function setOrClear(out: Uint32Array, words: Uint32Array | null): void {
  if (words === null) out.fill(0);
  else copy(out, 0, words, 0);
}
