/**
 * The guest writes these bytes, all of them; nothing in them is believed before it was compared with the lengths that
 * came from the ring. A frame costs a bounded walk over at most {@link EXTENSION_HEADERS_MAX} headers, and a bad one a
 * number for its owner to count.
 */
import { Ethernet, EtherType } from "./ethernet.ts";
import { isUnspecifiedIpv6 } from "./ip-address.ts";
import { checkIpv4, Ipv4, Ipv4Fragment } from "./ipv4.ts";
import { checkIpv6, Ipv6, Ipv6Extension, Ipv6FragmentHeader } from "./ipv6.ts";

/** Why a frame is not looked at further; 0 is none. */
export const Drop = {
  none: 0,
  /** Shorter than an Ethernet header. */
  runt: 1,
  /** Not ARP, IPv4 or IPv6. */
  etherType: 2,
  /** Version, header length or total length of IPv4 is impossible. */
  ipv4Header: 3,
  /** Version or payload length of IPv6 is impossible. */
  ipv6Header: 4,
  /**
   * An extension header passes the end of the packet, there are too many, or one must not be passed over: hop-by-hop
   * options that are not first, a route with segments left, an unknown option that says so (RFC 8200 section 4).
   */
  extensionHeader: 5,
  /** The headers go on behind the bytes that were gathered. */
  headersTooLong: 6,
  /** Source or destination is a loopback address, which no wire may carry (RFC 1122 3.2.1.3, RFC 4291 2.5.3). */
  loopback: 7,
  /** An IPv4-mapped address in an IPv6 header: taken for IPv4 it would reach what is refused there. */
  mappedAddress: 8,
  /** The destination is the unspecified address. */
  unspecifiedDestination: 9,
} as const;

/** How many reasons {@link Drop} has, for an array of counters. */
export const DROP_REASONS = 10;

/** The most IPv6 extension headers in front of the payload. */
const EXTENSION_HEADERS_MAX = 8;
/** Offset in a routing header (RFC 8200 section 4.4). */
const SEGMENTS_LEFT = 3;
/** The option of one byte, and the last of those that are skipped by who does not know them (RFC 8200 section 4.2). */
const PAD1 = 0;
const OPTION_TO_SKIP_MAX = 0x3f;

/**
 * What the headers of one frame say: one object that its owner reuses for frame after frame.
 *
 * Offsets named `...At` are places in the view that the headers were gathered to. Checksums are not verified: the way
 * here is memory, and a guest with checksum offload leaves them open.
 */
export class Packet {
  /** A value of EtherType; 0 when the frame is too short to have one. */
  etherType = 0;
  ipVersion: 0 | 4 | 6 = 0;
  destinationMacAt = 0;
  sourceMacAt = 0;
  /** The IP header; 0 with ARP, as are the other fields of IP. */
  ipAt = 0;
  sourceAt = 0;
  destinationAt = 0;
  /** The IP protocol of the payload, extension headers skipped. */
  protocol = 0;
  /** Time to live or hop limit. */
  hopLimit = 0;
  /** Type of service or traffic class. */
  trafficClass = 0;
  /** Whether the packet is a piece of a datagram; the payload is then no whole L4 header and data. */
  isFragment = false;
  /** Whether there is an IPv6 fragment header, though that may say that the packet is all of its datagram. */
  hasFragmentHeader = false;
  /** Where in the datagram the piece begins, in bytes. */
  fragmentOffset = 0;
  moreFragments = false;
  /** Identification of the datagram: 16 bits with IPv4, 32 bits with an IPv6 fragment header, else 0. */
  identification = 0;
  /** What follows the IP headers (with ARP: the Ethernet header): place in the view. */
  l4At = 0;
  /** The same counted from the first byte of the frame. */
  l4Offset = 0;
  /** Its bytes by the IP length fields: padding behind them does not count. */
  l4Length = 0;
  /** End of the gathered bytes in the view. */
  end = 0;

  /**
   * Reads the headers of a frame, gathered to `at` of `view`.
   *
   * @param gatheredEnd end of the gathered bytes in `view`; what lies behind is not read.
   * @param frameLength bytes of the frame, gathered or not.
   * @returns 0, or the number of {@link Drop} that says why the frame is dropped; what was read until then stands.
   */
  parse(view: DataView, at: number, gatheredEnd: number, frameLength: number): number {
    this.etherType = 0;
    this.ipVersion = 0;
    this.destinationMacAt = at + Ethernet.destination;
    this.sourceMacAt = at + Ethernet.source;
    this.ipAt = 0;
    this.sourceAt = 0;
    this.destinationAt = 0;
    this.protocol = 0;
    this.hopLimit = 0;
    this.trafficClass = 0;
    this.isFragment = false;
    this.hasFragmentHeader = false;
    this.fragmentOffset = 0;
    this.moreFragments = false;
    this.identification = 0;
    const frameEnd = at + frameLength;
    this.end = Math.min(gatheredEnd, frameEnd);
    this.l4At = at + Ethernet.headerBytes;
    this.l4Offset = Ethernet.headerBytes;
    this.l4Length = 0;
    if (this.end < this.l4At) return Drop.runt;
    this.l4Length = frameLength - Ethernet.headerBytes;
    this.etherType = view.getUint16(at + Ethernet.etherType);
    if (this.etherType === EtherType.ipv4) return this.#parseIpv4(view, frameEnd);
    if (this.etherType === EtherType.ipv6) return this.#parseIpv6(view, frameEnd);
    return this.etherType === EtherType.arp ? Drop.none : Drop.etherType;
  }

  #parseIpv4(view: DataView, frameEnd: number): number {
    const at = this.l4At;
    const headerBytes = checkIpv4(view, at, this.end, frameEnd);
    if (headerBytes < 0) return Drop.ipv4Header;
    this.ipVersion = 4;
    this.ipAt = at;
    this.sourceAt = at + Ipv4.source;
    this.destinationAt = at + Ipv4.destination;
    this.protocol = view.getUint8(at + Ipv4.protocol);
    this.hopLimit = view.getUint8(at + Ipv4.timeToLive);
    this.trafficClass = view.getUint8(at + Ipv4.typeOfService);
    this.identification = view.getUint16(at + Ipv4.identification);
    const fragment = view.getUint16(at + Ipv4.fragment);
    this.fragmentOffset = (fragment & Ipv4Fragment.offsetMask) * 8;
    this.moreFragments = (fragment & Ipv4Fragment.moreFragments) !== 0;
    this.isFragment = this.fragmentOffset !== 0 || this.moreFragments;
    this.l4At = at + headerBytes;
    this.l4Offset = Ethernet.headerBytes + headerBytes;
    this.l4Length = view.getUint16(at + Ipv4.totalLength) - headerBytes;
    if (view.getUint8(this.sourceAt) === 127 || view.getUint8(this.destinationAt) === 127) return Drop.loopback;
    if (view.getUint32(this.destinationAt) === 0) return Drop.unspecifiedDestination;
    return Drop.none;
  }

  #parseIpv6(view: DataView, frameEnd: number): number {
    const at = this.l4At;
    const payloadLength = checkIpv6(view, at, this.end, frameEnd);
    if (payloadLength < 0) return Drop.ipv6Header;
    this.ipVersion = 6;
    this.ipAt = at;
    this.sourceAt = at + Ipv6.source;
    this.destinationAt = at + Ipv6.destination;
    this.protocol = view.getUint8(at + Ipv6.nextHeader);
    this.hopLimit = view.getUint8(at + Ipv6.hopLimit);
    this.trafficClass = (view.getUint16(at) >>> 4) & 0xff;
    this.l4At = at + Ipv6.headerBytes;
    this.l4Offset = Ethernet.headerBytes + Ipv6.headerBytes;
    this.l4Length = payloadLength;
    const reason = addressReason(view, this.sourceAt) || addressReason(view, this.destinationAt);
    if (reason !== Drop.none) return reason;
    if (isUnspecifiedIpv6(view, this.destinationAt)) return Drop.unspecifiedDestination;
    return this.#skipExtensions(view);
  }

  /** Whether who passes over the header, options or a route, does what it says. */
  #mayPass(view: DataView, kind: number, at: number, end: number): boolean {
    if (kind === Ipv6Extension.routing) return view.getUint8(at + SEGMENTS_LEFT) === 0;
    if (kind === Ipv6Extension.hopByHop && at !== this.ipAt + Ipv6.headerBytes) return false;
    return mayPassOptions(view, at + 2, end);
  }

  /** Walks the extension headers (RFC 8200 section 4.1); a fragment that is not the first has none behind its own. */
  #skipExtensions(view: DataView): number {
    for (let left = EXTENSION_HEADERS_MAX; ; left--) {
      const kind = this.protocol;
      const isFragmentHeader = kind === Ipv6Extension.fragment;
      if (
        !isFragmentHeader &&
        kind !== Ipv6Extension.hopByHop &&
        kind !== Ipv6Extension.routing &&
        kind !== Ipv6Extension.destination
      ) {
        return Drop.none;
      }
      const at = this.l4At;
      if (left === 0 || this.l4Length < 8) return Drop.extensionHeader;
      if (this.end - at < 8) return Drop.headersTooLong;
      const headerBytes = isFragmentHeader ? Ipv6FragmentHeader.headerBytes : (view.getUint8(at + 1) + 1) * 8;
      if (headerBytes > this.l4Length) return Drop.extensionHeader;
      if (headerBytes > this.end - at) return Drop.headersTooLong;
      if (!isFragmentHeader && !this.#mayPass(view, kind, at, at + headerBytes)) return Drop.extensionHeader;
      this.protocol = view.getUint8(at);
      this.l4At = at + headerBytes;
      this.l4Offset += headerBytes;
      this.l4Length -= headerBytes;
      if (isFragmentHeader) {
        this.hasFragmentHeader = true;
        const offsetAndMore = view.getUint16(at + Ipv6FragmentHeader.offsetAndMore);
        this.identification = view.getUint32(at + Ipv6FragmentHeader.identification);
        this.fragmentOffset = offsetAndMore & 0xfff8;
        this.moreFragments = (offsetAndMore & 1) !== 0;
        this.isFragment = this.fragmentOffset !== 0 || this.moreFragments;
        if (this.fragmentOffset !== 0) return Drop.none;
      }
    }
  }
}

/** Whether nothing of the options from `at` to `end` forbids a node that knows none to go on (RFC 8200 section 4.2). */
function mayPassOptions(view: DataView, at: number, end: number): boolean {
  let next = at;
  while (next < end) {
    const kind = view.getUint8(next);
    if (kind === PAD1) next++;
    else if (kind > OPTION_TO_SKIP_MAX || next + 1 === end) return false;
    else next += 2 + view.getUint8(next + 1);
  }
  return next === end;
}

/** Drop.loopback for `::1`, Drop.mappedAddress for `::ffff:0:0/96`, else 0. */
function addressReason(view: DataView, at: number): number {
  if ((view.getUint32(at) | view.getUint32(at + 4)) !== 0) return Drop.none;
  const word = view.getUint32(at + 8);
  if (word === 0 && view.getUint32(at + 12) === 1) return Drop.loopback;
  return word === 0xffff ? Drop.mappedAddress : Drop.none;
}
