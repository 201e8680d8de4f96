import { fold, sumBytes } from "./sum.ts";

/** Offsets of the address pair, which lies in one piece in both headers (RFC 791 section 3.1, RFC 8200 section 3). */
const IPV4_SOURCE = 12;
const IPV4_HEADER_END = 20;
const IPV6_SOURCE = 8;
const IPV6_HEADER_END = 40;

/**
 * The partial sum of the pseudo-header of TCP and UDP over IPv4 (RFC 9293 section 3.1, RFC 768); folded to 16 bits.
 *
 * @param source words `sourceAt` to `sourceAt + 3` are the source, an IPv4-mapped address; so for `destination`.
 * @param l4Length bytes of the TCP or UDP header and payload.
 */
export function pseudoHeader4(
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
  protocol: number,
  l4Length: number,
): number {
  return fold(source[sourceAt + 3] + destination[destinationAt + 3] + protocol + l4Length);
}

/** The partial sum of the pseudo-header of IPv6 (RFC 8200 section 8.1); parameters as in {@link pseudoHeader4}. */
export function pseudoHeader6(
  source: Uint32Array,
  sourceAt: number,
  destination: Uint32Array,
  destinationAt: number,
  protocol: number,
  l4Length: number,
): number {
  let sum = protocol + l4Length;
  for (let i = 0; i < 4; i++) sum += source[sourceAt + i] + destination[destinationAt + i];
  return fold(sum);
}

/** As {@link pseudoHeader4}, with the addresses of the IPv4 header at `ipAt` of `view`. */
export function pseudoHeaderOf4(view: DataView, ipAt: number, protocol: number, l4Length: number): number {
  return sumBytes(view, ipAt + IPV4_SOURCE, ipAt + IPV4_HEADER_END, protocol + l4Length);
}

/** As {@link pseudoHeader6}, with the addresses of the IPv6 header at `ipAt` of `view`. */
export function pseudoHeaderOf6(view: DataView, ipAt: number, protocol: number, l4Length: number): number {
  return sumBytes(view, ipAt + IPV6_SOURCE, ipAt + IPV6_HEADER_END, protocol + l4Length);
}
