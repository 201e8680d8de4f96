/** Help for tests that write frames by hand: bytes from hexadecimal text, and buffers that show what was written. */

/** What a poisoned buffer holds. */
export const POISON = 0xa5;

/** The bytes that `text` spells in hexadecimal; anything but hexadecimal digits is a separator. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(/[^0-9a-fA-F]/g, "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** The bytes in hexadecimal, without separators. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A view of exactly `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * What `write` writes at `at` of a poisoned view of `capacity` bytes, in hexadecimal: `write` returns the offset behind
 * it.
 *
 * @throws Error when a byte before or behind was touched, or one in it was not written: `write` runs over two poisons.
 */
export function written(write: (view: DataView, at: number) => number, at = 3, capacity = 2048): string {
  const results: string[] = [];
  for (const poison of [POISON, ~POISON & 0xff]) {
    const bytes = new Uint8Array(capacity).fill(poison);
    const end = write(viewOf(bytes), at);
    const isUntouched = (byte: number) => byte === poison;
    if (!bytes.subarray(0, at).every(isUntouched)) throw new Error("a byte before was written");
    if (!bytes.subarray(end).every(isUntouched)) throw new Error("a byte behind was written");
    results.push(hexOf(bytes.subarray(at, end)));
  }
  if (results[0] !== results[1]) throw new Error(`not all bytes were written: ${results.join(" ")}`);
  return results[0] as string;
}
