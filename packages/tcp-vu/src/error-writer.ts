import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { Icmp, IcmpType, IcmpUnreachable, writeIcmpError } from "@passt-ts/wire/icmp";
import { Icmpv6Type, Icmpv6Unreachable, writeIcmpv6Error } from "@passt-ts/wire/icmpv6";
import { restoreIpWords } from "@passt-ts/wire/ip-quote";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import { Tcp } from "@passt-ts/wire/tcp";
import type { Connection } from "./connection.ts";
import { seqAdd } from "./sequence.ts";
import { SocketError } from "./socket-port.ts";

const HOP_LIMIT = 255;
/** Of the TCP header RFC 792 wants 8 bytes: ports and sequence number, by which the guest finds its connection. */
const QUOTED_TCP_BYTES = 8;
/** Bytes of scratch that an error needs. */
export const ERROR_SCRATCH_BYTES: number =
  Ethernet.headerBytes + 2 * Ipv6.headerBytes + Icmp.headerBytes + QUOTED_TCP_BYTES;

/**
 * The code of the destination unreachable message that says what `error` of connect() says, or -1 when there is none: a
 * refused connection, a timeout and the like are a RST, or silence.
 */
export function unreachableCode(error: number, ipVersion: number): number {
  const v4 = ipVersion === 4;
  switch (error) {
    case SocketError.networkUnreachable:
      return v4 ? IcmpUnreachable.network : Icmpv6Unreachable.noRoute;
    case SocketError.hostUnreachable:
      return v4 ? IcmpUnreachable.host : Icmpv6Unreachable.address;
    case SocketError.notPermitted:
    case SocketError.accessDenied:
      return v4 ? IcmpUnreachable.administrativelyProhibited : Icmpv6Unreachable.administrativelyProhibited;
    case SocketError.noProtocol:
      return v4 ? IcmpUnreachable.protocol : -1;
    default:
      return -1;
  }
}

/**
 * Tells the guest why its SYN went nowhere, as a router does: its connect() fails with the error that ours had, instead
 * of the "refused" that a RST means.
 *
 * The quote is the SYN's IP header as the guest wrote it, options aside, and the first 8 bytes behind it.
 */
export class ErrorWriter {
  readonly #sink: RxSink;
  readonly #guest: GuestIdentity;
  readonly #window: number;
  readonly #at: number;
  readonly #frame: Iov;

  /** @param at {@link ERROR_SCRATCH_BYTES} bytes of `window` from there on belong to the writer. */
  constructor(sink: RxSink, guest: GuestIdentity, window: number, at: number) {
    this.#sink = sink;
    this.#guest = guest;
    this.#window = window;
    this.#at = at;
    this.#frame = new Iov(sink.frames.pool);
  }

  /**
   * Sends "destination unreachable" with `code` for the SYN of `connection`, whose addresses stand from `at` on in
   * `guest` and `peer`.
   *
   * @returns 0, or a number of Refused.
   */
  write(
    connection: Connection,
    code: number,
    guest: Uint32Array,
    peer: Uint32Array,
    at: number,
    guestPort: number,
    peerPort: number,
  ): number {
    const { ipVersion } = connection;
    const v4 = ipVersion === 4;
    const ipBytes = v4 ? Ipv4.headerBytes : Ipv6.headerBytes;
    const quoteLength = ipBytes + QUOTED_TCP_BYTES;
    const l4Length = Icmp.headerBytes + quoteLength;
    const frameLength = Ethernet.headerBytes + ipBytes + l4Length;
    const index = this.#sink.reserve(frameLength);
    if (index < 0) return index;
    const { frames } = this.#sink;
    const view = frames.pool.windows.views[this.#window];
    const { mac, ourMac } = this.#guest;
    const ipAt = writeEthernet(view, this.#at, mac, ourMac, v4 ? EtherType.ipv4 : EtherType.ipv6);
    const icmpAt = v4
      ? writeIpv4(view, ipAt, l4Length, IpProtocol.icmp, HOP_LIMIT, peer, at, guest, at)
      : writeIpv6(view, ipAt, l4Length, IpProtocol.icmpv6, HOP_LIMIT, 0, peer, at, guest, at);
    const quoteAt = icmpAt + Icmp.headerBytes;
    const { synBytes, synHopLimit } = connection;
    const tcpAt = v4
      ? writeIpv4(view, quoteAt, synBytes, IpProtocol.tcp, synHopLimit, guest, at, peer, at)
      : writeIpv6(view, quoteAt, synBytes, IpProtocol.tcp, synHopLimit, 0, guest, at, peer, at);
    restoreIpWords(view, quoteAt, ipVersion, connection.synIpWords, 0);
    view.setUint16(tcpAt + Tcp.sourcePort, guestPort);
    view.setUint16(tcpAt + Tcp.destinationPort, peerPort);
    view.setUint32(tcpAt + Tcp.sequence, seqAdd(connection.rcvStart, -1));
    if (v4) writeIcmpError(view, icmpAt, IcmpType.destinationUnreachable, code, 0, quoteLength);
    else {
      const pseudo = pseudoHeader6(peer, at, guest, at, IpProtocol.icmpv6, l4Length);
      writeIcmpv6Error(view, icmpAt, Icmpv6Type.destinationUnreachable, code, 0, quoteLength, pseudo);
    }
    scatter(frames.select(index, this.#frame), frames.offset[index], this.#window, this.#at, frameLength);
    this.#sink.commit(index, frameLength);
    return 0;
  }
}
