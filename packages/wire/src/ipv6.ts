import { writeIpv6Address } from "./ip-address.ts";

/** Offsets in an IPv6 header, and its size (RFC 8200 section 3). */
export const Ipv6 = {
  versionClassFlow: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
  headerBytes: 40,
} as const;

/** Next header values of the extension headers (RFC 8200 section 4). */
export const Ipv6Extension = { hopByHop: 0, routing: 43, fragment: 44, noNextHeader: 59, destination: 60 } as const;

/** Offsets in a fragment header, and its size (RFC 8200 section 4.5). */
export const Ipv6FragmentHeader = { nextHeader: 0, offsetAndMore: 2, identification: 4, headerBytes: 8 } as const;

/**
 * The payload length of the IPv6 header at `at`, or -1.
 *
 * Checks the version and the payload length against `end`, the end of the bytes at hand, and `packetEnd`, where the
 * packet can end at the latest. What it lets pass is read without further checks.
 */
export function checkIpv6(view: DataView, at: number, end: number, packetEnd: number): number {
  if (end - at < Ipv6.headerBytes || view.getUint8(at) >>> 4 !== 6) return -1;
  const payloadLength = view.getUint16(at + Ipv6.payloadLength);
  return payloadLength <= packetEnd - at - Ipv6.headerBytes ? payloadLength : -1;
}

/**
 * Writes an IPv6 header at `at`, traffic class 0.
 *
 * @param payloadLength bytes behind the header.
 * @param flowLabel its low 20 bits are used.
 * @param source words `sourceAt` to `sourceAt + 3` are the source; so for `destination`.
 * @returns the offset behind the header.
 */
export function writeIpv6(
  view: DataView,
  at: number,
  payloadLength: number,
  nextHeader: number,
  hopLimit: number,
  flowLabel: number,
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
): number {
  view.setUint32(at, 0x6000_0000 | (flowLabel & 0xf_ffff));
  view.setUint16(at + Ipv6.payloadLength, payloadLength);
  view.setUint8(at + Ipv6.nextHeader, nextHeader);
  view.setUint8(at + Ipv6.hopLimit, hopLimit);
  writeIpv6Address(view, at + Ipv6.source, source, sourceAt);
  writeIpv6Address(view, at + Ipv6.destination, destination, destinationAt);
  return at + Ipv6.headerBytes;
}
