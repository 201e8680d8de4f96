import type { Iov } from "./iov.ts";

/**
 * Sets `lengthBytes` bytes of `iov` from `offset` on to `byte`, across entries, empty ones included.
 *
 * Nothing outside the range changes; a range that passes the end of the list is clipped there. Returns the bytes set.
 */
export function memset(iov: Iov, offset: number, byte: number, lengthBytes: number): number {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  let left = lengthBytes;
  for (let i = iov.first; i < end && left > 0; i++) {
    const entryBytes = length[i];
    if (offset >= entryBytes) {
      offset -= entryBytes;
      continue;
    }
    const take = Math.min(entryBytes - offset, left);
    const from = offsets[i] + offset;
    windows.bytes[window[i]].fill(byte, from, from + take);
    left -= take;
    offset = 0;
  }
  return lengthBytes > 0 ? lengthBytes - left : 0;
}
