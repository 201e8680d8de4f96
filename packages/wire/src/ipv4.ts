import { checksumBytes } from "@passt-ts/checksum/checksum";
import { writeIpv4Address } from "./ip-address.ts";

/** Offsets in an IPv4 header, and its size without options (RFC 791 section 3.1). */
export const Ipv4 = {
  versionAndLength: 0,
  typeOfService: 1,
  totalLength: 2,
  identification: 4,
  fragment: 6,
  timeToLive: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  headerBytes: 20,
} as const;

/** Bits of the 16-bit word at {@link Ipv4.fragment}; the offset counts 8-byte units. */
export const Ipv4Fragment = { dontFragment: 0x4000, moreFragments: 0x2000, offsetMask: 0x1fff } as const;

/** IP protocol numbers, which are the next header values of IPv6 too. */
export const IpProtocol = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
} as const;

/**
 * The header length of the IPv4 header at `at`, with options, or -1.
 *
 * Checks the version, the header length and the total length against `end`, the end of the bytes at hand, and
 * `packetEnd`, where the packet can end at the latest. What it lets pass is read without further checks.
 */
export function checkIpv4(view: DataView, at: number, end: number, packetEnd: number): number {
  if (end - at < Ipv4.headerBytes) return -1;
  const first = view.getUint8(at);
  if (first >>> 4 !== 4) return -1;
  const headerBytes = (first & 15) * 4;
  if (headerBytes < Ipv4.headerBytes || headerBytes > end - at) return -1;
  const totalLength = view.getUint16(at + Ipv4.totalLength);
  return totalLength >= headerBytes && totalLength <= packetEnd - at ? headerBytes : -1;
}

/**
 * Writes an IPv4 header without options at `at`, with its checksum: not fragmentable, identification 0.
 *
 * @param payloadLength bytes behind the header.
 * @param source words `sourceAt` to `sourceAt + 3` are the source, IPv4-mapped; so for `destination`.
 * @returns the offset behind the header.
 */
export function writeIpv4(
  view: DataView,
  at: number,
  payloadLength: number,
  protocol: number,
  timeToLive: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): number {
  view.setUint16(at, 0x4500);
  view.setUint16(at + Ipv4.totalLength, Ipv4.headerBytes + payloadLength);
  view.setUint32(at + Ipv4.identification, Ipv4Fragment.dontFragment);
  view.setUint8(at + Ipv4.timeToLive, timeToLive);
  view.setUint8(at + Ipv4.protocol, protocol);
  view.setUint16(at + Ipv4.checksum, 0);
  writeIpv4Address(view, at + Ipv4.source, source, sourceAt);
  writeIpv4Address(view, at + Ipv4.destination, destination, destinationAt);
  view.setUint16(at + Ipv4.checksum, checksumBytes(view, at, at + Ipv4.headerBytes));
  return at + Ipv4.headerBytes;
}
