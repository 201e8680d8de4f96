import type { Iov } from "@passt-ts/iov/iov";
import { complement, fold, oddPlace, sumBytes } from "./sum.ts";

/**
 * The partial sum of `lengthBytes` bytes of `iov` from `offset` on, plus `initial`; folded to 16 bits.
 *
 * The length is explicit: bytes behind it, in the same entry or in further ones, never change the sum. Entries may be
 * split anywhere, at odd places too. Clipped at the end of the list.
 */
export function sumIov(iov: Iov, offset: number, lengthBytes: number, initial = 0): number {
  const { windows, window, offset: offsets, length } = iov.pool;
  const end = iov.first + iov.count;
  let sum = initial;
  let done = 0;
  for (let i = iov.first; i < end && done < lengthBytes; i++) {
    const entryBytes = length[i];
    if (offset >= entryBytes) {
      offset -= entryBytes;
      continue;
    }
    const take = Math.min(entryBytes - offset, lengthBytes - done);
    const from = offsets[i] + offset;
    const part = sumBytes(windows.views[window[i]], from, from + take);
    sum += (done & 1) === 0 ? part : oddPlace(part);
    done += take;
    offset = 0;
  }
  return fold(sum);
}

/**
 * The Internet checksum of `lengthBytes` bytes of `iov` from `offset` on: what stands in the header's field.
 *
 * @param initial partial sum of what else belongs to it, the pseudo-header for instance.
 */
export function checksum(iov: Iov, offset: number, lengthBytes: number, initial = 0): number {
  return complement(sumIov(iov, offset, lengthBytes, initial));
}

/** The Internet checksum of the bytes `from` to `to - 1` of `view`. */
export function checksumBytes(view: DataView, from: number, to: number, initial = 0): number {
  return complement(sumBytes(view, from, to, initial));
}
