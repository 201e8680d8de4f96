import { checksumBytes } from "@passt-ts/checksum/checksum";
import { Icmp } from "./icmp.ts";

/** ICMPv6 messages begin as those of ICMP do: type, code, checksum, a word that depends on the type (RFC 4443). */
export const Icmpv6: typeof Icmp = Icmp;

export const Icmpv6Type = {
  destinationUnreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
} as const;

/** Codes of {@link Icmpv6Type.destinationUnreachable}. */
export const Icmpv6Unreachable = {
  noRoute: 0,
  administrativelyProhibited: 1,
  beyondScope: 2,
  address: 3,
  port: 4,
} as const;

/** The longest IPv6 packet that carries an ICMPv6 error, quote included: the minimum MTU (RFC 4443 section 2.4 c). */
export const ICMPV6_ERROR_PACKET_BYTES_MAX = 1280;

/**
 * Writes the header of an ICMPv6 error at `at`, with its checksum, around the quote that lies behind it already: the
 * original IPv6 header and what followed it, exactly `quoteLength` bytes.
 *
 * @param rest the second word: 0, or the MTU of {@link Icmpv6Type.packetTooBig}.
 * @param pseudoHeaderSum partial sum of the pseudo-header, for the length {@link Icmp.headerBytes} + quoteLength.
 * @returns the offset behind the quote.
 */
export function writeIcmpv6Error(
  view: DataView,
  at: number,
  type: number,
  code: number,
  rest: number,
  quoteLength: number,
  pseudoHeaderSum: number,
): number {
  const end = at + Icmp.headerBytes + quoteLength;
  view.setUint16(at, (type << 8) | code);
  view.setUint16(at + Icmp.checksum, 0);
  view.setUint32(at + Icmp.rest, rest);
  view.setUint16(at + Icmp.checksum, checksumBytes(view, at, end, pseudoHeaderSum));
  return end;
}
