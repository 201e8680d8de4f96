import { checksumBytes } from "@passt-ts/checksum/checksum";

/** Offsets in an ICMP message, and its header's size; `rest` is what the type makes of it (RFC 792). */
export const Icmp = { type: 0, code: 1, checksum: 2, rest: 4, identifier: 4, sequence: 6, headerBytes: 8 } as const;

export const IcmpType = {
  echoReply: 0,
  destinationUnreachable: 3,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;

/** Codes of {@link IcmpType.destinationUnreachable}. */
export const IcmpUnreachable = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  administrativelyProhibited: 13,
} as const;

/** The longest IPv4 packet that carries an ICMP error, quote included (RFC 1812 section 4.3.2.3). */
export const ICMP_ERROR_PACKET_BYTES_MAX = 576;

/**
 * Whether an ICMP header is all there at `at`.
 *
 * @param end end of the bytes at hand.
 * @param l4Length header and payload bytes that the IP header announces.
 */
export function checkIcmp(at: number, end: number, l4Length: number): boolean {
  return end - at >= Icmp.headerBytes && l4Length >= Icmp.headerBytes;
}

export function icmpType(view: DataView, at: number): number {
  return view.getUint8(at + Icmp.type);
}

export function icmpCode(view: DataView, at: number): number {
  return view.getUint8(at + Icmp.code);
}

export function icmpIdentifier(view: DataView, at: number): number {
  return view.getUint16(at + Icmp.identifier);
}

export function icmpSequence(view: DataView, at: number): number {
  return view.getUint16(at + Icmp.sequence);
}

/** Writes an echo request or reply header at `at` with the checksum field 0; returns the offset behind it. */
export function writeIcmpEcho(view: DataView, at: number, type: number, identifier: number, sequence: number): number {
  view.setUint16(at, type << 8);
  view.setUint16(at + Icmp.checksum, 0);
  view.setUint16(at + Icmp.identifier, identifier);
  view.setUint16(at + Icmp.sequence, sequence);
  return at + Icmp.headerBytes;
}

/**
 * Writes the header of an ICMP error at `at`, with its checksum, around the quote that lies behind it already: the
 * original IPv4 header and what followed it, exactly `quoteLength` bytes.
 *
 * @param rest the second word: 0, or the next hop's MTU with {@link IcmpUnreachable.fragmentationNeeded} (RFC 1191).
 * @returns the offset behind the quote.
 */
export function writeIcmpError(
  view: DataView,
  at: number,
  type: number,
  code: number,
  rest: number,
  quoteLength: number,
): number {
  const end = at + Icmp.headerBytes + quoteLength;
  view.setUint16(at, (type << 8) | code);
  view.setUint16(at + Icmp.checksum, 0);
  view.setUint32(at + Icmp.rest, rest);
  view.setUint16(at + Icmp.checksum, checksumBytes(view, at, end));
  return end;
}

/** Fills in a complete checksum. */
export function setIcmpChecksum(view: DataView, at: number, checksum: number): void {
  view.setUint16(at + Icmp.checksum, checksum);
}
