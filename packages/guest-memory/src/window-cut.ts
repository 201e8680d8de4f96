import { WINDOW_BYTES_MAX } from "@passt-ts/iov/windows";

/**
 * The sizes in bytes of the windows that a mapping of `sizeBytes` bytes is to be cut into, first byte first: all are
 * `windowBytesMax` long but the last.
 *
 * For the owner of the mapping, who makes a view for each and adds it to its window table.
 *
 * @param windowBytesMax a smaller one than {@link WINDOW_BYTES_MAX} lets tests put window edges where they like.
 * @throws RangeError unless both are positive integers.
 */
export function cutIntoWindows(sizeBytes: number, windowBytesMax: number = WINDOW_BYTES_MAX): number[] {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) throw new RangeError(`a mapping of ${sizeBytes} bytes`);
  if (!Number.isSafeInteger(windowBytesMax) || windowBytesMax <= 0) {
    throw new RangeError(`windows of ${windowBytesMax} bytes`);
  }
  const sizes: number[] = [];
  for (let left = sizeBytes; left > 0; left -= windowBytesMax) sizes.push(Math.min(left, windowBytesMax));
  return sizes;
}
