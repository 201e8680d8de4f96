import { isIpv4Mapped } from "@passt-ts/address-map/address";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { sumBytes } from "@passt-ts/checksum/sum";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { Icmp, IcmpType, setIcmpChecksum, writeIcmpEcho } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";

const HOP_LIMIT = 255;
/** The longest IPv4 packet, and the longest payload of an IPv6 packet. */
const IP_BYTES_MAX = 65535;

/** Bytes of the headers in front of a reply's data: Ethernet, IP, ICMP. */
export function replyHeaderBytes(v4: boolean): number {
  return Ethernet.headerBytes + (v4 ? Ipv4.headerBytes : Ipv6.headerBytes) + Icmp.headerBytes;
}

/** Bytes of scratch that the headers of a reply need. */
export const REPLY_HEADER_BYTES_MAX: number = replyHeaderBytes(false);

/** The data is too long for a packet of its family: nothing was reserved. */
export const REPLY_TOO_LONG = -100;

/** What a writer of frames for the guest works with. */
export interface WriterOptions {
  windows: WindowTable;
  sink: RxSink;
  guest: GuestIdentity;
  /** Bytes that the writer owns. */
  scratchWindow: number;
  scratchOffset: number;
}

/** Turns the data of an echo reply in flat memory into a frame for the guest, with a complete checksum. */
export class ReplyWriter {
  readonly #windows: WindowTable;
  readonly #sink: RxSink;
  readonly #guest: GuestIdentity;
  readonly #scratchWindow: number;
  readonly #scratchAt: number;
  readonly #frame: Iov;

  /** The scratch is {@link REPLY_HEADER_BYTES_MAX} bytes. */
  constructor(options: WriterOptions) {
    this.#windows = options.windows;
    this.#sink = options.sink;
    this.#guest = options.guest;
    this.#scratchWindow = options.scratchWindow;
    this.#scratchAt = options.scratchOffset;
    this.#frame = new Iov(options.sink.frames.pool);
  }

  /**
   * Sends the guest one echo reply with exactly the `lengthBytes` bytes at `from` of window `window` as its data.
   *
   * @param source words `sourceAt` to `sourceAt + 3` are the source; so for `destination`. One family.
   * @returns 0, a number of Refused, or {@link REPLY_TOO_LONG}.
   */
  write(
    source: Uint32Array,
    sourceAt: number,
    destination: Uint32Array,
    destinationAt: number,
    identifier: number,
    sequence: number,
    window: number,
    from: number,
    lengthBytes: number,
  ): number {
    const sink = this.#sink;
    const v4 = isIpv4Mapped(source, sourceAt);
    const icmpLength = Icmp.headerBytes + lengthBytes;
    if (icmpLength + (v4 ? Ipv4.headerBytes : 0) > IP_BYTES_MAX) return REPLY_TOO_LONG;
    const headerLength = replyHeaderBytes(v4);
    const icmpOffset = headerLength - Icmp.headerBytes;
    const index = sink.reserve(headerLength + lengthBytes);
    if (index < 0) return index;

    const view = this.#windows.views[this.#scratchWindow];
    const at = this.#scratchAt;
    const { mac, ourMac } = this.#guest;
    const ipAt = writeEthernet(view, at, mac, ourMac, v4 ? EtherType.ipv4 : EtherType.ipv6);
    let pseudo = 0;
    if (v4) {
      writeIpv4(view, ipAt, icmpLength, IpProtocol.icmp, HOP_LIMIT, source, sourceAt, destination, destinationAt);
    } else {
      const protocol = IpProtocol.icmpv6;
      writeIpv6(view, ipAt, icmpLength, protocol, HOP_LIMIT, 0, source, sourceAt, destination, destinationAt);
      pseudo = pseudoHeader6(source, sourceAt, destination, destinationAt, protocol, icmpLength);
    }
    const icmpAt = at + icmpOffset;
    writeIcmpEcho(view, icmpAt, v4 ? IcmpType.echoReply : Icmpv6Type.echoReply, identifier, sequence);
    const header = sumBytes(view, icmpAt, icmpAt + Icmp.headerBytes, pseudo);
    setIcmpChecksum(view, icmpAt, checksumBytes(this.#windows.views[window], from, from + lengthBytes, header));

    const { frames } = sink;
    const frame = frames.select(index, this.#frame);
    const frameAt = frames.offset[index];
    scatter(frame, frameAt, this.#scratchWindow, at, headerLength);
    scatter(frame, frameAt + headerLength, window, from, lengthBytes);
    sink.commit(index, headerLength + lengthBytes);
    return 0;
  }
}
