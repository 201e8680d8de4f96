/** What tells one flow from another: a reusable, mutable key for {@link FlowTable.find} and {@link FlowTable.insert}. */
export class FlowKey {
  /** IP protocol number. */
  protocol = 0;
  /** Address on the guest's side: 4 words, IPv4 as IPv4-mapped. */
  readonly guest: Uint32Array = new Uint32Array(4);
  /** Address of the peer as the guest sees it. */
  readonly peer: Uint32Array = new Uint32Array(4);
  guestPort = 0;
  peerPort = 0;

  /** Sets the key from two IPv4 addresses of 4 bytes in `view`. */
  setIpv4(
    protocol: number,
    view: DataView,
    guestAt: number,
    peerAt: number,
    guestPort: number,
    peerPort: number,
  ): void {
    const { guest, peer } = this;
    guest[0] = 0;
    guest[1] = 0;
    guest[2] = 0xffff;
    guest[3] = view.getUint32(guestAt);
    peer[0] = 0;
    peer[1] = 0;
    peer[2] = 0xffff;
    peer[3] = view.getUint32(peerAt);
    this.#setRest(protocol, guestPort, peerPort);
  }

  /** Sets the key from two IPv6 addresses of 16 bytes in `view`. */
  setIpv6(
    protocol: number,
    view: DataView,
    guestAt: number,
    peerAt: number,
    guestPort: number,
    peerPort: number,
  ): void {
    const { guest, peer } = this;
    for (let i = 0; i < 4; i++) {
      guest[i] = view.getUint32(guestAt + 4 * i);
      peer[i] = view.getUint32(peerAt + 4 * i);
    }
    this.#setRest(protocol, guestPort, peerPort);
  }

  /** Sets the key from two addresses of 4 words. */
  setWords(
    protocol: number,
    guest: Uint32Array,
    guestAt: number,
    peer: Uint32Array,
    peerAt: number,
    guestPort: number,
    peerPort: number,
  ): void {
    for (let i = 0; i < 4; i++) {
      this.guest[i] = guest[guestAt + i];
      this.peer[i] = peer[peerAt + i];
    }
    this.#setRest(protocol, guestPort, peerPort);
  }

  #setRest(protocol: number, guestPort: number, peerPort: number): void {
    this.protocol = protocol;
    this.guestPort = guestPort;
    this.peerPort = peerPort;
  }
}
