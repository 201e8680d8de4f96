/** Offsets in a UDP header, and its size (RFC 768). */
export const Udp = { sourcePort: 0, destinationPort: 2, length: 4, checksum: 6, headerBytes: 8 } as const;

export function udpSourcePort(view: DataView, at: number): number {
  return view.getUint16(at + Udp.sourcePort);
}

export function udpDestinationPort(view: DataView, at: number): number {
  return view.getUint16(at + Udp.destinationPort);
}

/**
 * The payload length of the UDP header at `at`, or -1 when the header is not all there or its length is impossible.
 *
 * @param end end of the bytes at hand, which need to hold only the header.
 * @param l4Length header and payload bytes that the IP header announces; bytes of it behind the UDP length are ignored.
 */
export function checkUdp(view: DataView, at: number, end: number, l4Length: number): number {
  if (end - at < Udp.headerBytes || l4Length < Udp.headerBytes) return -1;
  const length = view.getUint16(at + Udp.length);
  return length >= Udp.headerBytes && length <= l4Length ? length - Udp.headerBytes : -1;
}

/**
 * Writes a UDP header at `at` with the checksum field 0; returns the offset behind it.
 *
 * @param payloadLength bytes behind the header.
 */
export function writeUdp(
  view: DataView,
  at: number,
  sourcePort: number,
  destinationPort: number,
  payloadLength: number,
): number {
  view.setUint16(at + Udp.sourcePort, sourcePort);
  view.setUint16(at + Udp.destinationPort, destinationPort);
  view.setUint16(at + Udp.length, Udp.headerBytes + payloadLength);
  view.setUint16(at + Udp.checksum, 0);
  return at + Udp.headerBytes;
}

/** Fills in a complete checksum; 0, which would mean "none", is sent as 0xffff (RFC 768). */
export function setUdpChecksum(view: DataView, at: number, checksum: number): void {
  view.setUint16(at + Udp.checksum, checksum === 0 ? 0xffff : checksum);
}
