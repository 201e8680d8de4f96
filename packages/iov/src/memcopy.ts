import type { Iov } from "./iov.ts";

/**
 * Copies `lengthBytes` bytes from `from` at `fromOffset` to `to` at `toOffset`, whatever the segmentation of either.
 *
 * Clipped at the end of the shorter list; the two ranges must not overlap, and both lists must share one window table.
 * Returns the bytes copied.
 */
export function memcopy(to: Iov, toOffset: number, from: Iov, fromOffset: number, lengthBytes: number): number {
  const { windows } = to.pool;
  const toEnd = to.first + to.count;
  const fromEnd = from.first + from.count;
  let toEntry = to.first;
  let fromEntry = from.first;
  let left = lengthBytes;
  while (left > 0) {
    while (toEntry < toEnd && toOffset >= to.pool.length[toEntry]) toOffset -= to.pool.length[toEntry++];
    while (fromEntry < fromEnd && fromOffset >= from.pool.length[fromEntry])
      fromOffset -= from.pool.length[fromEntry++];
    if (toEntry === toEnd || fromEntry === fromEnd) break;
    const take = Math.min(left, to.pool.length[toEntry] - toOffset, from.pool.length[fromEntry] - fromOffset);
    windows.copy(
      to.pool.window[toEntry],
      to.pool.offset[toEntry] + toOffset,
      from.pool.window[fromEntry],
      from.pool.offset[fromEntry] + fromOffset,
      take,
    );
    toOffset += take;
    fromOffset += take;
    left -= take;
  }
  return lengthBytes > 0 ? lengthBytes - left : 0;
}

/**
 * Copies `lengthBytes` bytes of `iov` from `offset` on into one flat range, at `at` of window `toWindow`.
 *
 * The flat range must hold `lengthBytes` bytes and belong to the same window table. Returns the bytes copied: fewer
 * when the list ends earlier.
 */
export function gather(iov: Iov, offset: number, toWindow: number, at: number, lengthBytes: number): number {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  let done = 0;
  for (let i = iov.first; i < end && done < lengthBytes; i++) {
    const entryBytes = length[i];
    if (offset >= entryBytes) {
      offset -= entryBytes;
      continue;
    }
    const take = Math.min(entryBytes - offset, lengthBytes - done);
    windows.copy(toWindow, at + done, window[i], offsets[i] + offset, take);
    done += take;
    offset = 0;
  }
  return done;
}

/**
 * Copies one flat range, `lengthBytes` bytes at `at` of window `fromWindow`, into `iov` from `offset` on.
 *
 * Clipped at the end of the list. Returns the bytes copied.
 */
export function scatter(iov: Iov, offset: number, fromWindow: number, at: number, lengthBytes: number): number {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  let done = 0;
  for (let i = iov.first; i < end && done < lengthBytes; i++) {
    const entryBytes = length[i];
    if (offset >= entryBytes) {
      offset -= entryBytes;
      continue;
    }
    const take = Math.min(entryBytes - offset, lengthBytes - done);
    windows.copy(window[i], offsets[i] + offset, fromWindow, at + done, take);
    done += take;
    offset = 0;
  }
  return done;
}
