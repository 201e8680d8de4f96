/** Control messages (cmsg(3)) in a native buffer: length (8 bytes), level (4), type (4), data; 8-byte aligned. */

export const CMSG_HEADER_BYTES = 16;

/** Room that a control message with `dataBytes` bytes of data takes. */
export function controlSpace(dataBytes: number): number {
  return (CMSG_HEADER_BYTES + dataBytes + 7) & ~7;
}

/**
 * The offset of the data of the first control message of this level and type between `at` and `end`, or -1 when there
 * is none with at least `dataBytes` bytes.
 */
export function findControl(
  view: DataView,
  at: number,
  end: number,
  level: number,
  type: number,
  dataBytes: number,
): number {
  while (at + CMSG_HEADER_BYTES <= end) {
    const length = view.getUint32(at, true);
    if (length < CMSG_HEADER_BYTES || at + length > end) return -1;
    if (view.getInt32(at + 8, true) === level && view.getInt32(at + 12, true) === type) {
      return length - CMSG_HEADER_BYTES >= dataBytes ? at + CMSG_HEADER_BYTES : -1;
    }
    at += (length + 7) & ~7;
  }
  return -1;
}

/** Writes the header of a control message at `at`; the offset of its data. */
export function writeControlHeader(view: DataView, at: number, level: number, type: number, dataBytes: number): number {
  view.setUint32(at, CMSG_HEADER_BYTES + dataBytes, true);
  view.setUint32(at + 4, 0, true);
  view.setInt32(at + 8, level, true);
  view.setInt32(at + 12, type, true);
  return at + CMSG_HEADER_BYTES;
}
