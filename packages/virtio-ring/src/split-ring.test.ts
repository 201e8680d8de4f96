import { expect, test } from "bun:test";
import {
  availableRingBytes,
  descriptorTableBytes,
  isQueueSize,
  type SplitRing,
  splitRing,
  usedRingBytes,
} from "./split-ring.ts";

function parts(size: number, descriptorsAt = 0, availableAt = 0, usedAt = 0): SplitRing {
  const part = (at: number, bytes: number) => new Uint8Array(new ArrayBuffer(at + bytes), at);
  return splitRing(
    size,
    part(descriptorsAt, descriptorTableBytes(size)),
    part(availableAt, availableRingBytes(size)),
    part(usedAt, usedRingBytes(size)),
  );
}

test("the views have the sizes of the specification's table, event indexes included", () => {
  const ring = parts(256);
  expect(ring.descriptors.byteLength).toBe(16 * 256);
  expect(ring.available.byteLength).toBe(6 + 2 * 256);
  expect(ring.used.byteLength).toBe(6 + 8 * 256);
  expect(ring.usedElements.byteLength).toBe(8 * 256);
  expect(ring.usedElements.byteOffset).toBe(4);
});

test("sizes are powers of two up to 32768", () => {
  for (const size of [1, 2, 256, 32768]) expect(isQueueSize(size)).toBe(true);
  for (const size of [0, -2, 3, 100, 65536, 2 ** 32, 1.5, Number.NaN]) {
    expect(isQueueSize(size)).toBe(false);
    const nothing = new Uint8Array(0);
    expect(() => splitRing(size, nothing, nothing, nothing)).toThrow(RangeError);
  }
});

test("a part that is misaligned or one byte short is refused", () => {
  expect(parts(4, 16, 2, 4).size).toBe(4);
  expect(() => parts(4, 2)).toThrow("descriptor table");
  expect(() => parts(4, 0, 1)).toThrow("available ring");
  expect(() => parts(4, 0, 0, 2)).toThrow("used ring");
  const long = new Uint8Array(64);
  expect(() => splitRing(4, new Uint8Array(63), long, long)).toThrow("descriptor table");
  expect(() => splitRing(4, long, new Uint8Array(13), long)).toThrow("available ring");
  expect(() => splitRing(4, long, long, new Uint8Array(37))).toThrow("used ring");
});
