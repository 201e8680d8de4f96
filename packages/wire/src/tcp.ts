/** Offsets in a TCP header, and its size without options (RFC 9293 section 3.1). */
export const Tcp = {
  sourcePort: 0,
  destinationPort: 2,
  sequence: 4,
  acknowledgment: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgentPointer: 18,
  headerBytes: 20,
} as const;

/** Bits of the byte at {@link Tcp.flags}. */
export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;

/** Option kinds that are understood (RFC 9293 section 3.2, RFC 7323 section 2). */
export const TcpOptionKind = { end: 0, noOperation: 1, maximumSegmentSize: 2, windowScale: 3 } as const;

/** The largest shift that a window scale option may ask for (RFC 7323 section 2.3). */
export const TCP_WINDOW_SCALE_MAX = 14;

/** The longest TCP header. */
export const TCP_HEADER_BYTES_MAX = 60;

/** Bytes that {@link writeTcpSynOptions} writes at most. */
export const TCP_SYN_OPTION_BYTES = 8;

export function tcpSourcePort(view: DataView, at: number): number {
  return view.getUint16(at + Tcp.sourcePort);
}

export function tcpDestinationPort(view: DataView, at: number): number {
  return view.getUint16(at + Tcp.destinationPort);
}

export function tcpSequence(view: DataView, at: number): number {
  return view.getUint32(at + Tcp.sequence);
}

export function tcpAcknowledgment(view: DataView, at: number): number {
  return view.getUint32(at + Tcp.acknowledgment);
}

/** A bit set of {@link TcpFlag}. */
export function tcpFlags(view: DataView, at: number): number {
  return view.getUint8(at + Tcp.flags);
}

/** The window field as it stands, unscaled. */
export function tcpWindow(view: DataView, at: number): number {
  return view.getUint16(at + Tcp.window);
}

/**
 * The header length of the TCP header at `at`, with options, or -1 when it is not all there or impossible.
 *
 * @param end end of the bytes at hand, which need to hold only the header.
 * @param l4Length header and payload bytes that the IP header announces.
 */
export function checkTcp(view: DataView, at: number, end: number, l4Length: number): number {
  if (end - at < Tcp.headerBytes) return -1;
  const headerBytes = (view.getUint8(at + Tcp.dataOffset) >>> 4) * 4;
  return headerBytes >= Tcp.headerBytes && headerBytes <= end - at && headerBytes <= l4Length ? headerBytes : -1;
}

/** The options of a SYN that matter here; one object that its owner reuses. */
export class TcpOptions {
  /** The maximum segment size, or -1 when the option is absent or malformed. */
  maximumSegmentSize = -1;
  /** The window scale, clipped to {@link TCP_WINDOW_SCALE_MAX}, or -1 when the option is absent or malformed. */
  windowScale = -1;

  /**
   * Reads the options of the header at `at`, whose length {@link checkTcp} gave. A malformed option ends the walk; what
   * was read before it stands.
   */
  parse(view: DataView, at: number, headerBytes: number): void {
    this.maximumSegmentSize = -1;
    this.windowScale = -1;
    const end = at + headerBytes;
    let option = at + Tcp.headerBytes;
    while (option < end) {
      const kind = view.getUint8(option);
      if (kind === TcpOptionKind.end) return;
      if (kind === TcpOptionKind.noOperation) {
        option++;
        continue;
      }
      if (end - option < 2) return;
      const optionBytes = view.getUint8(option + 1);
      if (optionBytes < 2 || optionBytes > end - option) return;
      if (kind === TcpOptionKind.maximumSegmentSize && optionBytes === 4) {
        this.maximumSegmentSize = view.getUint16(option + 2);
      } else if (kind === TcpOptionKind.windowScale && optionBytes === 3) {
        this.windowScale = Math.min(view.getUint8(option + 2), TCP_WINDOW_SCALE_MAX);
      }
      option += optionBytes;
    }
  }
}

/**
 * Writes a TCP header at `at` with checksum and urgent pointer 0; returns the offset behind its fixed part.
 *
 * @param headerBytes the header's length with the options that the caller writes behind it, a multiple of 4.
 * @param window the window field as it stands, already scaled and clipped.
 */
export function writeTcp(
  view: DataView,
  at: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgment: number,
  flags: number,
  window: number,
  headerBytes: number = Tcp.headerBytes,
): number {
  view.setUint16(at + Tcp.sourcePort, sourcePort);
  view.setUint16(at + Tcp.destinationPort, destinationPort);
  view.setUint32(at + Tcp.sequence, sequence);
  view.setUint32(at + Tcp.acknowledgment, acknowledgment);
  view.setUint16(at + Tcp.dataOffset, (headerBytes << 10) | flags);
  view.setUint16(at + Tcp.window, window);
  view.setUint32(at + Tcp.checksum, 0);
  return at + Tcp.headerBytes;
}

/**
 * Writes the options of a SYN at `at`: MSS, and when `windowScale` is not negative a NOP and the window scale.
 *
 * Returns the bytes written, 4 or 8.
 */
export function writeTcpSynOptions(
  view: DataView,
  at: number,
  maximumSegmentSize: number,
  windowScale: number,
): number {
  view.setUint16(at, (TcpOptionKind.maximumSegmentSize << 8) | 4);
  view.setUint16(at + 2, maximumSegmentSize);
  if (windowScale < 0) return 4;
  view.setUint16(at + 4, (TcpOptionKind.noOperation << 8) | TcpOptionKind.windowScale);
  view.setUint16(at + 6, (3 << 8) | windowScale);
  return TCP_SYN_OPTION_BYTES;
}

/** Fills in the checksum field: a complete checksum, or the folded pseudo-header sum of a partial one. */
export function setTcpChecksum(view: DataView, at: number, checksum: number): void {
  view.setUint16(at + Tcp.checksum, checksum);
}
