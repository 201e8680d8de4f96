import { equals, isIpv4Mapped, isLinkLocal, isLoopback } from "@passt-ts/address-map/address";
import { bindSocket, connectSocket } from "@passt-ts/linux/inet-socket";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { IP_BIND_ADDRESS_NO_PORT, SOL_IP } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno } from "@passt-ts/linux/system-error";

const ANY_IPV4: Uint32Array = Uint32Array.of(0, 0, 0xffff, 0);
const ANY_IPV6: Uint32Array = new Uint32Array(4);

/** How what is of one family leaves the host; null: the kernel decides. */
export interface OutboundFamily {
  /** Four words. */
  readonly address: Uint32Array | null;
  readonly interfaceName: string | null;
  /** The host's own address that the guest has too: what goes there stays on this machine. */
  readonly ownAddress: Uint32Array | null;
}

/** How the guest's traffic leaves the host. */
export interface OutboundSettings {
  readonly ipv4: OutboundFamily;
  readonly ipv6: OutboundFamily;
  /** Index of the interface that link-local IPv6 peers are reached by; 0: none. */
  readonly scopeId: number;
}

/**
 * Gives the sockets of all engines their way out: interface, source address and peer. What goes to the host itself
 * takes part in none of it, as it never leaves.
 */
export class Outbound {
  #settings: OutboundSettings;
  readonly #options: SocketOptions = new SocketOptions();
  readonly #address: SocketAddress = new SocketAddress();

  constructor(settings: OutboundSettings) {
    this.#settings = settings;
  }

  /** Goes by `settings` from the next socket on. */
  configure(settings: OutboundSettings): void {
    this.#settings = settings;
  }

  /**
   * Connects a stream socket: 0 or -errno, -EINPROGRESS as with connect(2).
   *
   * @param peer four words.
   */
  connectStream(socket: number, peer: Uint32Array, port: number): number {
    const source = this.#bindToInterface(socket, peer);
    if (typeof source === "number") return source;
    if (source !== null) {
      // With the peer known, connect() finds a port that only this connection has to itself.
      this.#options.set(socket, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      const result = this.#bind(socket, source, 0);
      if (result < 0) return result;
    }
    return this.#connect(socket, peer, port);
  }

  /**
   * Connects a datagram socket: 0 or -errno.
   *
   * @param localPort the port to bind when it is free; any other one when not, or when it is 0.
   */
  connectDatagram(socket: number, peer: Uint32Array, port: number, localPort: number): number {
    const source = this.#bindToInterface(socket, peer);
    if (typeof source === "number") return source;
    const local = source ?? (isIpv4Mapped(peer, 0) ? ANY_IPV4 : ANY_IPV6);
    const isBound = localPort !== 0 && this.#bind(socket, local, localPort) === 0;
    if (!isBound && source !== null) {
      // Another flow, or the host, may have the port; the address must be had.
      const result = this.#bind(socket, source, 0);
      if (result < 0) return result;
    }
    return this.#connect(socket, peer, port);
  }

  #bind(socket: number, local: Uint32Array, port: number): number {
    return bindSocket(socket, this.#address.set(local, port, this.#scopeOf(local)));
  }

  #connect(socket: number, peer: Uint32Array, port: number): number {
    return connectSocket(socket, this.#address.set(peer, port, this.#scopeOf(peer)));
  }

  #scopeOf(address: Uint32Array): number {
    // ff02::/16 is a group of one link (RFC 4291 section 2.7).
    const isLinkGroup = address[0] >>> 16 === 0xff02;
    return isLinkGroup || isLinkLocal(address, 0) ? this.#settings.scopeId : 0;
  }

  /** The source address to bind, null for none, or -errno when the interface is not to be had. */
  #bindToInterface(socket: number, peer: Uint32Array): Uint32Array | null | number {
    const family = isIpv4Mapped(peer, 0) ? this.#settings.ipv4 : this.#settings.ipv6;
    const { address, interfaceName, ownAddress } = family;
    if (isLoopback(peer, 0) || (ownAddress !== null && equals(peer, 0, ownAddress, 0))) return null;
    if (interfaceName === null) return address;
    const result = this.#options.bindToDevice(socket, interfaceName);
    if (result === -Errno.ENODEV) return -Errno.ENETUNREACH;
    return result < 0 ? result : address;
  }
}
