/**
 * The header in front of a tap's frames: struct virtio_net_hdr in the byte order of the host, which is little-endian
 * wherever this runs. The host writes what is read here; the device has checked what is written.
 */
import { Capability } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";

const HEADER = { flags: 0, gsoType: 1, headerLength: 2, gsoSize: 4, checksumStart: 6, checksumOffset: 8 } as const;
/** Behind the fields, in a header of 12 bytes. */
const BUFFER_COUNT = 10;

const NEEDS_CHECKSUM = 1;
const DATA_VALID = 2;
const GSO = { none: 0, tcpv4: 1, tcpv6: 4, udpL4: 5 } as const;

/** Writes the header of frame `index`: 12 bytes, of which the caller may use 10. */
export function writeTapHeader(header: DataView, frames: FrameBatch, index: number): void {
  header.setUint8(HEADER.flags, frames.flags[index]);
  header.setUint8(HEADER.gsoType, frames.gsoType[index]);
  header.setUint16(HEADER.headerLength, frames.headerLength[index], true);
  header.setUint16(HEADER.gsoSize, frames.gsoSize[index], true);
  header.setUint16(HEADER.checksumStart, frames.checksumStart[index], true);
  header.setUint16(HEADER.checksumOffset, frames.checksumOffset[index], true);
  header.setUint16(BUFFER_COUNT, 0, true);
}

/** Says whether a guest that negotiated `capabilities` can be given a frame with this header. */
export function isTapHeaderAllowed(header: DataView, capabilities: number): boolean {
  const partial = (header.getUint8(HEADER.flags) & NEEDS_CHECKSUM) !== 0;
  if (partial && (capabilities & Capability.givesPartialChecksum) === 0) return false;
  const gsoType = header.getUint8(HEADER.gsoType);
  return gsoType === GSO.none || (capabilities & capabilityOf(gsoType)) !== 0;
}

/** Copies an allowed header to the columns of frame `index`. That a checksum is valid is news only to who negotiated it. */
export function readTapHeader(header: DataView, capabilities: number, frames: FrameBatch, index: number): void {
  if ((capabilities & Capability.givesPartialChecksum) === 0) return;
  const flags = header.getUint8(HEADER.flags) & (NEEDS_CHECKSUM | DATA_VALID);
  frames.flags[index] = flags;
  if ((flags & NEEDS_CHECKSUM) !== 0) {
    frames.checksumStart[index] = header.getUint16(HEADER.checksumStart, true);
    frames.checksumOffset[index] = header.getUint16(HEADER.checksumOffset, true);
  }
  const gsoType = header.getUint8(HEADER.gsoType);
  if (gsoType === GSO.none) return;
  frames.gsoType[index] = gsoType;
  frames.gsoSize[index] = header.getUint16(HEADER.gsoSize, true);
  frames.headerLength[index] = header.getUint16(HEADER.headerLength, true);
}

/** The header asks for segmentation. */
export function isTapHeaderSegmented(header: DataView): boolean {
  return header.getUint8(HEADER.gsoType) !== GSO.none;
}

function capabilityOf(gsoType: number): number {
  switch (gsoType) {
    case GSO.tcpv4:
      return Capability.givesTso4;
    case GSO.tcpv6:
      return Capability.givesTso6;
    case GSO.udpL4:
      return Capability.givesUso;
    default:
      return 0;
  }
}
