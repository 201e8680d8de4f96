import { copy, isIpv4Mapped, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import type { FlowKey } from "@passt-ts/flow/flow-key";
import { IpProtocol } from "@passt-ts/wire/ipv4";

/** Listening sockets whose datagrams go to a port of the guest; the sockets stay their owner's. */
export class UdpListeners {
  readonly capacity: number;
  /** -1 where there is no listener. */
  readonly socket: Int32Array;
  readonly guestPort: Uint16Array;
  /** Where in the guest, 4 words a listener; all 0: the guest's own address. */
  readonly guestAddress: Uint32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.socket = new Int32Array(capacity).fill(-1);
    this.guestPort = new Uint16Array(capacity);
    this.guestAddress = new Uint32Array(4 * capacity);
  }

  /** @throws RangeError when there is no room for another one. */
  add(socket: number, guestPort: number, guestAddress: Uint32Array | null): number {
    const listener = this.socket.indexOf(-1);
    if (listener === -1) throw new RangeError(`more than ${this.capacity} UDP listeners`);
    this.socket[listener] = socket;
    this.guestPort[listener] = guestPort;
    for (let i = 0; i < 4; i++) this.guestAddress[4 * listener + i] = guestAddress === null ? 0 : guestAddress[i];
    return listener;
  }

  remove(listener: number): void {
    this.socket[listener] = -1;
  }

  has(listener: number): boolean {
    return this.socket[listener] >= 0;
  }

  /**
   * Completes the key of a flow through `listener` whose `key.peer` is set: guest address and ports.
   * False while no address of the guest in the peer's family is known.
   */
  completeKey(listener: number, peerPort: number, addressMap: AddressMap, key: FlowKey): boolean {
    key.protocol = IpProtocol.udp;
    key.guestPort = this.guestPort[listener];
    key.peerPort = peerPort;
    if (isUnspecified(this.guestAddress, 4 * listener)) return addressMap.guestFor(key.peer, key.guest);
    copy(key.guest, 0, this.guestAddress, 4 * listener);
    return isIpv4Mapped(key.guest, 0) === isIpv4Mapped(key.peer, 0);
  }
}
