/**
 * The header in front of each frame in a virtio-net ring (virtio 1.3, 5.1.6), little-endian; `bufferCount` exists only
 * in the header of 12 bytes.
 */
export const VirtioNetHeader = {
  flags: 0,
  gsoType: 1,
  headerLength: 2,
  gsoSize: 4,
  checksumStart: 6,
  checksumOffset: 8,
  bufferCount: 10,
} as const;

/** Bytes of the header: of a legacy driver without VIRTIO_NET_F_MRG_RXBUF, and of all others. */
export const VIRTIO_NET_HEADER_BYTES_LEGACY = 10;
export const VIRTIO_NET_HEADER_BYTES = 12;

/** `VIRTIO_NET_HDR_F_*`. */
export const VirtioNetFlag = { needsChecksum: 1, dataValid: 2, rscInfo: 4 } as const;

/** `VIRTIO_NET_HDR_GSO_*`; `ecn` is a bit beside one of the others. */
export const VirtioNetGso = { none: 0, tcpv4: 1, udp: 3, tcpv6: 4, udpL4: 5, ecn: 0x80 } as const;

/** The fields of one header in host order; one object that its owner reuses. */
export class VirtioNetFields {
  flags = 0;
  gsoType = 0;
  headerLength = 0;
  gsoSize = 0;
  checksumStart = 0;
  checksumOffset = 0;
  bufferCount = 0;

  /** Reads the header of `headerBytes` bytes, 10 or 12, at `at`; all of them must be there. */
  parse(view: DataView, at: number, headerBytes: number): void {
    this.flags = view.getUint8(at + VirtioNetHeader.flags);
    this.gsoType = view.getUint8(at + VirtioNetHeader.gsoType);
    this.headerLength = view.getUint16(at + VirtioNetHeader.headerLength, true);
    this.gsoSize = view.getUint16(at + VirtioNetHeader.gsoSize, true);
    this.checksumStart = view.getUint16(at + VirtioNetHeader.checksumStart, true);
    this.checksumOffset = view.getUint16(at + VirtioNetHeader.checksumOffset, true);
    this.bufferCount =
      headerBytes >= VIRTIO_NET_HEADER_BYTES ? view.getUint16(at + VirtioNetHeader.bufferCount, true) : 0;
  }
}

/**
 * Writes a header of `headerBytes` bytes, 10 or 12, at `at`; returns the offset behind it.
 *
 * @param bufferCount `num_buffers`, left out of a header of 10 bytes.
 */
export function writeVirtioNetHeader(
  view: DataView,
  at: number,
  headerBytes: number,
  flags: number,
  gsoType: number,
  headerLength: number,
  gsoSize: number,
  checksumStart: number,
  checksumOffset: number,
  bufferCount: number,
): number {
  view.setUint8(at + VirtioNetHeader.flags, flags);
  view.setUint8(at + VirtioNetHeader.gsoType, gsoType);
  view.setUint16(at + VirtioNetHeader.headerLength, headerLength, true);
  view.setUint16(at + VirtioNetHeader.gsoSize, gsoSize, true);
  view.setUint16(at + VirtioNetHeader.checksumStart, checksumStart, true);
  view.setUint16(at + VirtioNetHeader.checksumOffset, checksumOffset, true);
  if (headerBytes >= VIRTIO_NET_HEADER_BYTES) view.setUint16(at + VirtioNetHeader.bufferCount, bufferCount, true);
  return at + headerBytes;
}
