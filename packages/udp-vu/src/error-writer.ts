import { isIpv4Mapped } from "@passt-ts/address-map/address";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader4, pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { ICMP_ERROR_PACKET_BYTES_MAX, Icmp, writeIcmpError } from "@passt-ts/wire/icmp";
import { ICMPV6_ERROR_PACKET_BYTES_MAX, writeIcmpv6Error } from "@passt-ts/wire/icmpv6";
import { restoreIpWords } from "@passt-ts/wire/ip-quote";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import { setUdpChecksum, Udp, writeUdp } from "@passt-ts/wire/udp";

const HOP_LIMIT = 255;

/** Headers in front of the quoted payload: Ethernet, IP, ICMP, the quoted IP and UDP headers. */
const HEADERS4 = Ethernet.headerBytes + 2 * Ipv4.headerBytes + Icmp.headerBytes + Udp.headerBytes;
const HEADERS6 = Ethernet.headerBytes + 2 * Ipv6.headerBytes + Icmp.headerBytes + Udp.headerBytes;

/** Payload bytes quoted at most. */
const QUOTED_BYTES_MAX4 = ICMP_ERROR_PACKET_BYTES_MAX - (HEADERS4 - Ethernet.headerBytes);
const QUOTED_BYTES_MAX6 = ICMPV6_ERROR_PACKET_BYTES_MAX - (HEADERS6 - Ethernet.headerBytes);

/** Where in the scratch the quoted payload begins: the headers of either family fit in front of it. */
export const ERROR_DATA_OFFSET = 112;
/** Bytes of quoted payload that either family can use. */
export const ERROR_DATA_BYTES: number = QUOTED_BYTES_MAX6;
export const ERROR_SCRATCH_BYTES: number = ERROR_DATA_OFFSET + ERROR_DATA_BYTES;

/** The guest's datagram that an ICMP error is about; addresses are (words, index of the first). */
export class FailedDatagram {
  guest: Uint32Array = NO_ADDRESS;
  guestAt = 0;
  guestPort = 0;
  /** As the guest sees it. */
  peer: Uint32Array = NO_ADDRESS;
  peerAt = 0;
  peerPort = 0;
  /** TTL or hop limit that the quote shows. */
  hopLimit = 0;
  /** What else the quoted IP header shows: words of keepIpWords. */
  ipWords: Uint32Array = NO_ADDRESS;
  ipWordsAt = 0;
  /** Payload bytes of the datagram, known or not. */
  payloadLength = 0;
  /** It was sent with a checksum. */
  hasChecksum = false;
  /** Payload bytes that are known and stand at {@link ERROR_DATA_OFFSET} of the scratch. */
  dataLength = 0;
}

const NO_ADDRESS = new Uint32Array(4);

export interface ErrorWriterOptions {
  windows: WindowTable;
  sink: RxSink;
  guest: GuestIdentity;
  /** {@link ERROR_SCRATCH_BYTES} bytes that the writer owns. */
  scratchWindow: number;
  scratchOffset: number;
}

/**
 * Tells the guest that a datagram of its did not arrive: an ICMP or ICMPv6 error that quotes the datagram's headers as
 * the guest wrote them, addresses translated back, and as much payload as is known and RFC 1812 section 4.3.2.3 or RFC
 * 4443 section 2.4 (c) let in; nothing behind it. The quoted UDP checksum is the guest's, complete, when all of the
 * payload is known, else 0.
 */
export class ErrorWriter {
  readonly #windows: WindowTable;
  readonly #sink: RxSink;
  readonly #guest: GuestIdentity;
  readonly #window: number;
  readonly #dataAt: number;
  readonly #frame: Iov;

  constructor(options: ErrorWriterOptions) {
    this.#windows = options.windows;
    this.#sink = options.sink;
    this.#guest = options.guest;
    this.#window = options.scratchWindow;
    this.#dataAt = options.scratchOffset + ERROR_DATA_OFFSET;
    this.#frame = new Iov(options.sink.frames.pool);
  }

  /**
   * Sends an error of `type` and `code` about `datagram` from the address of the four words `source`.
   *
   * @returns 0, or a number of Refused.
   */
  write(datagram: FailedDatagram, type: number, code: number, source: Uint32Array, sourceAt: number): number {
    const v4 = isIpv4Mapped(datagram.peer, datagram.peerAt);
    const quoted = Math.min(datagram.dataLength, v4 ? QUOTED_BYTES_MAX4 : QUOTED_BYTES_MAX6);
    const headersLength = v4 ? HEADERS4 : HEADERS6;
    const frameLength = headersLength + quoted;
    const index = this.#sink.reserve(frameLength);
    if (index < 0) return index;
    const at = this.#dataAt - headersLength;
    if (v4) this.#write4(at, datagram, type, code, quoted, source, sourceAt);
    else this.#write6(at, datagram, type, code, quoted, source, sourceAt);
    const { frames } = this.#sink;
    scatter(frames.select(index, this.#frame), frames.offset[index], this.#window, at, frameLength);
    this.#sink.commit(index, frameLength);
    return 0;
  }

  #writeUdp(view: DataView, at: number, datagram: FailedDatagram, pseudo: number): void {
    const { payloadLength, dataLength, hasChecksum } = datagram;
    writeUdp(view, at, datagram.guestPort, datagram.peerPort, payloadLength);
    if (!hasChecksum || dataLength !== payloadLength) return;
    setUdpChecksum(view, at, checksumBytes(view, at, at + Udp.headerBytes + dataLength, pseudo));
  }

  #write4(
    at: number,
    datagram: FailedDatagram,
    type: number,
    code: number,
    quoted: number,
    source: Uint32Array,
    sourceAt: number,
  ): void {
    const view = this.#windows.views[this.#window];
    const { guest, guestAt, peer, peerAt } = datagram;
    const quoteLength = Ipv4.headerBytes + Udp.headerBytes + quoted;
    const ipAt = writeEthernet(view, at, this.#guest.mac, this.#guest.ourMac, EtherType.ipv4);
    const icmpLength = Icmp.headerBytes + quoteLength;
    const icmpAt = writeIpv4(view, ipAt, icmpLength, IpProtocol.icmp, HOP_LIMIT, source, sourceAt, guest, guestAt);
    const originalLength = Udp.headerBytes + datagram.payloadLength;
    const udpAt = writeIpv4(
      view,
      icmpAt + Icmp.headerBytes,
      originalLength,
      IpProtocol.udp,
      datagram.hopLimit,
      guest,
      guestAt,
      peer,
      peerAt,
    );
    restoreIpWords(view, icmpAt + Icmp.headerBytes, 4, datagram.ipWords, datagram.ipWordsAt);
    this.#writeUdp(view, udpAt, datagram, pseudoHeader4(guest, guestAt, peer, peerAt, IpProtocol.udp, originalLength));
    writeIcmpError(view, icmpAt, type, code, 0, quoteLength);
  }

  #write6(
    at: number,
    datagram: FailedDatagram,
    type: number,
    code: number,
    quoted: number,
    source: Uint32Array,
    sourceAt: number,
  ): void {
    const view = this.#windows.views[this.#window];
    const { guest, guestAt, peer, peerAt } = datagram;
    const quoteLength = Ipv6.headerBytes + Udp.headerBytes + quoted;
    const ipAt = writeEthernet(view, at, this.#guest.mac, this.#guest.ourMac, EtherType.ipv6);
    const icmpLength = Icmp.headerBytes + quoteLength;
    const icmpAt = writeIpv6(view, ipAt, icmpLength, IpProtocol.icmpv6, HOP_LIMIT, 0, source, sourceAt, guest, guestAt);
    const originalLength = Udp.headerBytes + datagram.payloadLength;
    const udpAt = writeIpv6(
      view,
      icmpAt + Icmp.headerBytes,
      originalLength,
      IpProtocol.udp,
      datagram.hopLimit,
      0,
      guest,
      guestAt,
      peer,
      peerAt,
    );
    restoreIpWords(view, icmpAt + Icmp.headerBytes, 6, datagram.ipWords, datagram.ipWordsAt);
    this.#writeUdp(view, udpAt, datagram, pseudoHeader6(guest, guestAt, peer, peerAt, IpProtocol.udp, originalLength));
    const pseudo = pseudoHeader6(source, sourceAt, guest, guestAt, IpProtocol.icmpv6, icmpLength);
    writeIcmpv6Error(view, icmpAt, type, code, 0, quoteLength, pseudo);
  }
}
