import type { Iov } from "./iov.ts";

/**
 * Reads the byte of `iov` at `offset`, or -1 at or behind the end.
 */
export function readUint8(iov: Iov, offset: number): number {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  for (let i = iov.first; i < end; i++) {
    if (offset < length[i]) return windows.bytes[window[i]][offsets[i] + offset];
    offset -= length[i];
  }
  return -1;
}

/**
 * Reads the 16-bit number of `iov` at `offset`, whatever the segmentation; big-endian unless `littleEndian`.
 *
 * Each byte is read once. Returns -1 when the list ends before the number does.
 */
export function readUint16(iov: Iov, offset: number, littleEndian = false): number {
  return readScattered(iov, offset, 2, littleEndian);
}

/**
 * Reads the unsigned 32-bit number of `iov` at `offset`, whatever the segmentation; big-endian unless `littleEndian`.
 *
 * Each byte is read once. Returns -1 when the list ends before the number does.
 */
export function readUint32(iov: Iov, offset: number, littleEndian = false): number {
  return readScattered(iov, offset, 4, littleEndian);
}

/** Writes the low 8 bits of `value` to `iov` at `offset`; false, and nothing written, at or behind the end. */
export function writeUint8(iov: Iov, offset: number, value: number): boolean {
  return writeScattered(iov, offset, 1, value, true);
}

/** Writes the low 16 bits of `value` to `iov` at `offset`; false, and nothing written, when the list is too short. */
export function writeUint16(iov: Iov, offset: number, value: number, littleEndian = false): boolean {
  return writeScattered(iov, offset, 2, value, littleEndian);
}

/** Writes the low 32 bits of `value` to `iov` at `offset`; false, and nothing written, when the list is too short. */
export function writeUint32(iov: Iov, offset: number, value: number, littleEndian = false): boolean {
  return writeScattered(iov, offset, 4, value, littleEndian);
}

function readScattered(iov: Iov, offset: number, sizeBytes: number, littleEndian: boolean): number {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  let value = 0;
  let done = 0;
  for (let i = iov.first; i < end; i++) {
    if (offset >= length[i]) {
      offset -= length[i];
      continue;
    }
    const bytes = windows.bytes[window[i]];
    const from = offsets[i];
    for (; offset < length[i] && done < sizeBytes; offset++, done++) {
      value |= bytes[from + offset] << (8 * (littleEndian ? done : sizeBytes - 1 - done));
    }
    if (done === sizeBytes) return value >>> 0;
    offset = 0;
  }
  return -1;
}

function writeScattered(iov: Iov, offset: number, sizeBytes: number, value: number, littleEndian: boolean): boolean {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  let i = iov.first;
  while (i < end && offset >= length[i]) offset -= length[i++];
  let room = -offset;
  for (let j = i; j < end && room < sizeBytes; j++) room += length[j];
  if (room < sizeBytes) return false;
  let done = 0;
  for (; done < sizeBytes; i++) {
    const bytes = windows.bytes[window[i]];
    for (; offset < length[i] && done < sizeBytes; offset++, done++) {
      bytes[offsets[i] + offset] = value >>> (8 * (littleEndian ? done : sizeBytes - 1 - done));
    }
    offset = 0;
  }
  return true;
}
