import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet } from "@passt-ts/wire/ethernet";
import { ICMP_ERROR_PACKET_BYTES_MAX, Icmp, IcmpType, writeIcmpError } from "@passt-ts/wire/icmp";
import { ICMPV6_ERROR_PACKET_BYTES_MAX, Icmpv6Type, writeIcmpv6Error } from "@passt-ts/wire/icmpv6";
import { IpProtocol, Ipv4, Ipv4Fragment, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, Ipv6Extension, Ipv6FragmentHeader, writeIpv6 } from "@passt-ts/wire/ipv6";
import { DATA_AT, headersAt } from "./datagram-header.ts";

const HOP_LIMIT = 255;
/** "Fragment reassembly time exceeded", of ICMP and of ICMPv6. */
const REASSEMBLY_TIME_EXCEEDED = 1;
/** Outer IP header, ICMP header and quoted headers. */
const OVERHEAD4 = 2 * Ipv4.headerBytes + Icmp.headerBytes;
const OVERHEAD6 = 2 * Ipv6.headerBytes + Icmp.headerBytes + Ipv6FragmentHeader.headerBytes;

/**
 * Tells the guest that the rest of a datagram did not come in time, quoting its first fragment as it was sent, options
 * and extension headers aside.
 *
 * The error is built in the datagram's own place, in front of its bytes, and leaves from there: the place is given up.
 */
export class TimeExceededWriter {
  readonly #windows: WindowTable;
  readonly #window: number;

  constructor(windows: WindowTable, window: number) {
    this.#windows = windows;
    this.#window = window;
  }

  /**
   * @param at where the place begins; the headers that were kept and the first fragment's bytes stand in it.
   * @param firstBytes length of the first fragment's bytes.
   * @param addresses source and destination of the datagram, 8 words from `addressesAt` on.
   * @returns 0, or a number of Refused.
   */
  write(
    sink: RxSink,
    at: number,
    ipVersion: number,
    protocol: number,
    firstBytes: number,
    identification: number,
    addresses: Uint32Array,
    addressesAt: number,
  ): number {
    const view = this.#windows.views[this.#window];
    const v4 = ipVersion === 4;
    const room = v4 ? ICMP_ERROR_PACKET_BYTES_MAX - OVERHEAD4 : ICMPV6_ERROR_PACKET_BYTES_MAX - OVERHEAD6;
    const quoted = Math.min(firstBytes, room);
    const headersLength = Ethernet.headerBytes + (v4 ? OVERHEAD4 : OVERHEAD6);
    const index = sink.reserve(headersLength + quoted);
    if (index < 0) return index;
    const frameAt = at + DATA_AT - headersLength;
    this.#moveEthernet(view, headersAt(at, ipVersion), frameAt);
    if (v4) this.#write4(view, at, frameAt, firstBytes, quoted, addresses, addressesAt);
    else this.#write6(view, at, frameAt, protocol, firstBytes, quoted, identification, addresses, addressesAt);
    const frame = sink.frames.select(index, new Iov(sink.frames.pool));
    scatter(frame, sink.frames.offset[index], this.#window, frameAt, headersLength + quoted);
    sink.commit(index, headersLength + quoted);
    return 0;
  }

  /** The guest's Ethernet header, turned around. */
  #moveEthernet(view: DataView, from: number, to: number): void {
    for (let i = 0; i < 6; i++) {
      const ours = view.getUint8(from + Ethernet.destination + i);
      view.setUint8(to + Ethernet.destination + i, view.getUint8(from + Ethernet.source + i));
      view.setUint8(to + Ethernet.source + i, ours);
    }
    view.setUint16(to + Ethernet.etherType, view.getUint16(from + Ethernet.etherType));
  }

  /** The quoted IPv4 header is the one that was kept, at its place right in front of the bytes. */
  #write4(
    view: DataView,
    at: number,
    frameAt: number,
    firstBytes: number,
    quoted: number,
    addresses: Uint32Array,
    addressesAt: number,
  ): void {
    const quoteAt = at + DATA_AT - Ipv4.headerBytes;
    const quoteLength = Ipv4.headerBytes + quoted;
    const ipAt = frameAt + Ethernet.headerBytes;
    const guestAt = addressesAt;
    const peerAt = addressesAt + 4;
    const length = Icmp.headerBytes + quoteLength;
    view.setUint8(quoteAt + Ipv4.versionAndLength, 0x45);
    view.setUint16(quoteAt + Ipv4.totalLength, Ipv4.headerBytes + firstBytes);
    view.setUint16(quoteAt + Ipv4.fragment, Ipv4Fragment.moreFragments);
    view.setUint16(quoteAt + Ipv4.checksum, 0);
    view.setUint16(quoteAt + Ipv4.checksum, checksumBytes(view, quoteAt, quoteAt + Ipv4.headerBytes));
    const icmpAt = writeIpv4(view, ipAt, length, IpProtocol.icmp, HOP_LIMIT, addresses, peerAt, addresses, guestAt);
    writeIcmpError(view, icmpAt, IcmpType.timeExceeded, REASSEMBLY_TIME_EXCEEDED, 0, quoteLength);
  }

  /** Between the kept IPv6 header and the bytes the fragment header comes back. */
  #write6(
    view: DataView,
    at: number,
    frameAt: number,
    protocol: number,
    firstBytes: number,
    quoted: number,
    identification: number,
    addresses: Uint32Array,
    addressesAt: number,
  ): void {
    const fragmentAt = at + DATA_AT - Ipv6FragmentHeader.headerBytes;
    const keptAt = at + DATA_AT - Ipv6.headerBytes;
    const quoteAt = fragmentAt - Ipv6.headerBytes;
    for (let i = 0; i < Ipv6.headerBytes; i++) view.setUint8(quoteAt + i, view.getUint8(keptAt + i));
    view.setUint16(quoteAt + Ipv6.payloadLength, Ipv6FragmentHeader.headerBytes + firstBytes);
    view.setUint8(quoteAt + Ipv6.nextHeader, Ipv6Extension.fragment);
    view.setUint16(fragmentAt, protocol << 8);
    view.setUint16(fragmentAt + Ipv6FragmentHeader.offsetAndMore, 1);
    view.setUint32(fragmentAt + Ipv6FragmentHeader.identification, identification);
    const quoteLength = Ipv6.headerBytes + Ipv6FragmentHeader.headerBytes + quoted;
    const length = Icmp.headerBytes + quoteLength;
    const ipAt = frameAt + Ethernet.headerBytes;
    const guestAt = addressesAt;
    const peerAt = addressesAt + 4;
    const icmpAt = writeIpv6(
      view,
      ipAt,
      length,
      IpProtocol.icmpv6,
      HOP_LIMIT,
      0,
      addresses,
      peerAt,
      addresses,
      guestAt,
    );
    const pseudo = pseudoHeader6(addresses, peerAt, addresses, guestAt, IpProtocol.icmpv6, length);
    writeIcmpv6Error(view, icmpAt, Icmpv6Type.timeExceeded, REASSEMBLY_TIME_EXCEEDED, 0, quoteLength, pseudo);
  }
}
