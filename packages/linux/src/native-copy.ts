import { type CopyBytes, copyBytesPortably } from "@passt-ts/iov/windows";
import { libc } from "./libc.ts";

/**
 * The copy of a {@link WindowTable} by the C library's memcpy, whatever the length: 7 ns for 4 to 64 bytes and
 * 15 ns for 1500, where a byte loop takes 9 ns for 4 to 16 bytes and a subarray 53 ns (Bun 1.4.5, x86-64).
 *
 * Windows without a native address are copied portably.
 *
 * @throws RangeError when a range passes the end of its window, before any memory is touched.
 */
export const copyBytesNatively: CopyBytes = (windows, toWindow, toOffset, fromWindow, fromOffset, lengthBytes) => {
  const to = windows.bytes[toWindow];
  const from = windows.bytes[fromWindow];
  // Also refuses fractions and NaN; the three numbers are int32 then, and their sums cannot overflow a number.
  if (
    (toOffset | 0) !== toOffset ||
    (fromOffset | 0) !== fromOffset ||
    (lengthBytes | 0) !== lengthBytes ||
    toOffset < 0 ||
    fromOffset < 0 ||
    lengthBytes < 0 ||
    toOffset + lengthBytes > to.length ||
    fromOffset + lengthBytes > from.length
  ) {
    throw new RangeError(
      `copy of ${lengthBytes} bytes from ${fromOffset} of ${from.length} to ${toOffset} of ${to.length}`,
    );
  }
  const toAddress = windows.addresses[toWindow];
  const fromAddress = windows.addresses[fromWindow];
  if (toAddress === 0 || fromAddress === 0) {
    copyBytesPortably(windows, toWindow, toOffset, fromWindow, fromOffset, lengthBytes);
    return;
  }
  libc.memcpy(toAddress + toOffset, fromAddress + fromOffset, lengthBytes);
};
