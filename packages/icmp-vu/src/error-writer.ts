import { isIpv4Mapped } from "@passt-ts/address-map/address";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { complement } from "@passt-ts/checksum/sum";
import { FlowKey } from "@passt-ts/flow/flow-key";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import {
  ICMP_ERROR_PACKET_BYTES_MAX,
  Icmp,
  IcmpType,
  icmpIdentifier,
  setIcmpChecksum,
  writeIcmpError,
} from "@passt-ts/wire/icmp";
import { ICMPV6_ERROR_PACKET_BYTES_MAX, Icmpv6Type, writeIcmpv6Error } from "@passt-ts/wire/icmpv6";
import { IP_QUOTE_WORDS, restoreIpWords } from "@passt-ts/wire/ip-quote";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import type { WriterOptions } from "./reply-writer.ts";

const HOP_LIMIT = 255;

/** Headers in front of the quoted ICMP message: Ethernet, IP, ICMP, the quoted IP header. */
const HEADERS4 = Ethernet.headerBytes + 2 * Ipv4.headerBytes + Icmp.headerBytes;
const HEADERS6 = Ethernet.headerBytes + 2 * Ipv6.headerBytes + Icmp.headerBytes;
const QUOTED_BYTES_MAX4 = ICMP_ERROR_PACKET_BYTES_MAX - (HEADERS4 - Ethernet.headerBytes);
const QUOTED_BYTES_MAX6 = ICMPV6_ERROR_PACKET_BYTES_MAX - (HEADERS6 - Ethernet.headerBytes);

/** Where in the scratch the quoted ICMP message begins: the headers of either family fit in front of it. */
export const ERROR_DATA_OFFSET = 104;
/** Bytes of the quoted message that either family can use. */
export const ERROR_DATA_BYTES: number = QUOTED_BYTES_MAX6;
export const ERROR_SCRATCH_BYTES: number = ERROR_DATA_OFFSET + ERROR_DATA_BYTES;

/** The guest's echo request that an ICMP error is about. */
export class FailedRequest {
  /** Addresses, and the guest's identifier as its port. */
  readonly key: FlowKey = new FlowKey();
  /** What the quote shows as the request's TTL. */
  hopLimit = 0;
  /** What else the quoted IP header shows: words of keepIpWords. */
  ipWords: Uint32Array = new Uint32Array(IP_QUOTE_WORDS);
  ipWordsAt = 0;
  /** Bytes of the request from its ICMP header on, and how many of them are known: those stand at
   * {@link ERROR_DATA_OFFSET} of the scratch, the header at least. */
  messageLength = 0;
  dataLength = 0;
}

/**
 * Tells the guest that an echo request of its did not arrive: an ICMP or ICMPv6 error that quotes the request as the
 * guest sent it, addresses and identifier translated back, as far as it is known and RFC 1812 section 4.3.2.3 or RFC
 * 4443 section 2.4 (c) let in.
 */
export class ErrorWriter {
  readonly #windows: WindowTable;
  readonly #sink: RxSink;
  readonly #guest: GuestIdentity;
  readonly #window: number;
  readonly #dataAt: number;
  readonly #frame: Iov;

  /** The scratch is {@link ERROR_SCRATCH_BYTES} bytes. */
  constructor(options: WriterOptions) {
    this.#windows = options.windows;
    this.#sink = options.sink;
    this.#guest = options.guest;
    this.#window = options.scratchWindow;
    this.#dataAt = options.scratchOffset + ERROR_DATA_OFFSET;
    this.#frame = new Iov(options.sink.frames.pool);
  }

  /**
   * Sends an error of `type` and `code`, from the address of the four words `source`, about `request`.
   *
   * @returns 0, or a number of Refused.
   */
  write(request: FailedRequest, type: number, code: number, source: Uint32Array, sourceAt: number): number {
    const { key, hopLimit, ipWords, ipWordsAt, messageLength, dataLength } = request;
    const v4 = isIpv4Mapped(key.peer, 0);
    const quoted = Math.min(dataLength, v4 ? QUOTED_BYTES_MAX4 : QUOTED_BYTES_MAX6);
    const headersLength = v4 ? HEADERS4 : HEADERS6;
    const index = this.#sink.reserve(headersLength + quoted);
    if (index < 0) return index;
    const view = this.#windows.views[this.#window];
    const at = this.#dataAt - headersLength;
    this.#restore(view, request, v4);
    const { guest, peer } = key;
    const ipAt = writeEthernet(view, at, this.#guest.mac, this.#guest.ourMac, v4 ? EtherType.ipv4 : EtherType.ipv6);
    if (v4) {
      const quoteLength = Ipv4.headerBytes + quoted;
      const length = Icmp.headerBytes + quoteLength;
      const icmpAt = writeIpv4(view, ipAt, length, IpProtocol.icmp, HOP_LIMIT, source, sourceAt, guest, 0);
      writeIpv4(view, icmpAt + Icmp.headerBytes, messageLength, IpProtocol.icmp, hopLimit, guest, 0, peer, 0);
      restoreIpWords(view, icmpAt + Icmp.headerBytes, 4, ipWords, ipWordsAt);
      writeIcmpError(view, icmpAt, type, code, 0, quoteLength);
    } else {
      const quoteLength = Ipv6.headerBytes + quoted;
      const length = Icmp.headerBytes + quoteLength;
      const icmpAt = writeIpv6(view, ipAt, length, IpProtocol.icmpv6, HOP_LIMIT, 0, source, sourceAt, guest, 0);
      writeIpv6(view, icmpAt + Icmp.headerBytes, messageLength, IpProtocol.icmpv6, hopLimit, 0, guest, 0, peer, 0);
      restoreIpWords(view, icmpAt + Icmp.headerBytes, 6, ipWords, ipWordsAt);
      const pseudo = pseudoHeader6(source, sourceAt, guest, 0, IpProtocol.icmpv6, length);
      writeIcmpv6Error(view, icmpAt, type, code, 0, quoteLength, pseudo);
    }
    const { frames } = this.#sink;
    scatter(frames.select(index, this.#frame), frames.offset[index], this.#window, at, headersLength + quoted);
    this.#sink.commit(index, headersLength + quoted);
    return 0;
  }

  /**
   * Puts the guest's identifier back into the quoted request, and changes its checksum alike (RFC 1624). That of ICMPv6
   * covers the host's address too, which is not known here: it is computed anew when all of the request is known.
   */
  #restore(view: DataView, { key, messageLength, dataLength }: FailedRequest, v4: boolean): void {
    const at = this.#dataAt;
    const identifier = key.guestPort;
    const checksum = view.getUint16(at + Icmp.checksum);
    const sum = (~checksum & 0xffff) + (~icmpIdentifier(view, at) & 0xffff) + identifier;
    view.setUint8(at + Icmp.type, v4 ? IcmpType.echoRequest : Icmpv6Type.echoRequest);
    view.setUint16(at + Icmp.identifier, identifier);
    view.setUint16(at + Icmp.checksum, complement(sum));
    if (v4 || dataLength !== messageLength) return;
    view.setUint16(at + Icmp.checksum, 0);
    const pseudo = pseudoHeader6(key.guest, 0, key.peer, 0, IpProtocol.icmpv6, messageLength);
    setIcmpChecksum(view, at, checksumBytes(view, at, at + messageLength, pseudo));
  }
}
