import { expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import fc from "fast-check";
import { checksum, checksumBytes, sumIov } from "./checksum.ts";
import { complement, fold, oddPlace, sumBytes } from "./sum.ts";

/** RFC 1071, as plainly as possible: one byte after the other, one carry after the other. */
function slowSum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) {
    sum += index % 2 === 0 ? byte * 256 : byte;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The bytes as a list of entries cut at `cuts`, each entry in the middle of stale bytes, at every alignment. */
function split(bytes: Uint8Array, cuts: readonly number[]): Iov {
  const windows = new WindowTable();
  const pool = new IovPool(windows, cuts.length + 1);
  let from = 0;
  for (const [index, to] of [...cuts, bytes.length].entries()) {
    const lead = index % 5;
    const memory = new Uint8Array(lead + (to - from) + 7).fill(0xa5);
    memory.set(bytes.subarray(from, to), lead);
    pool.append(windows.add(memory), lead, to - from);
    from = to;
  }
  return new Iov(pool, 0, pool.count);
}

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 167 + (i >>> 8) * 31 + 91) & 0xff);

test("flat bytes: any content, any range, any alignment", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), fc.nat(600), (bytes, a, b) => {
      const from = Math.min(a, b, bytes.length);
      const to = Math.min(Math.max(a, b), bytes.length);
      expect(sumBytes(viewOf(bytes), from, to)).toBe(slowSum(bytes.subarray(from, to)));
    }),
    { numRuns: 300 },
  );
});

test("every two-way split of a frame of 1500 bytes", () => {
  const bytes = bytesOf(1500);
  const expected = slowSum(bytes);
  for (let cut = 0; cut <= bytes.length; cut++) {
    if (sumIov(split(bytes, [cut]), 0, bytes.length) !== expected) throw new Error(`cut at ${cut}`);
  }
});

test("random splits, empty entries included, from any offset with any length", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.nat(300), { maxLength: 12 }),
      fc.nat(300),
      fc.nat(300),
      fc.integer({ min: 0, max: 0xffff }),
      (bytes, cuts, a, b, initial) => {
        const places = cuts.map((cut) => Math.min(cut, bytes.length)).sort((x, y) => x - y);
        const from = Math.min(a, b, bytes.length);
        const to = Math.min(Math.max(a, b), bytes.length);
        const expected = fold(slowSum(bytes.subarray(from, to)) + initial);
        expect(sumIov(split(bytes, places), from, to - from, initial)).toBe(expected);
        expect(checksum(split(bytes, places), from, to - from, initial)).toBe(~expected & 0xffff);
      },
    ),
    { numRuns: 500 },
  );
});

test("stale bytes behind the length never change the sum", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.uint8Array({ maxLength: 40 }), (bytes, stale) => {
      const both = Uint8Array.from([...bytes, ...stale]);
      expect(checksumBytes(viewOf(both), 0, bytes.length)).toBe(checksumBytes(viewOf(bytes), 0, bytes.length));
      for (const cut of [bytes.length - 1, bytes.length, Math.min(bytes.length + 1, both.length)]) {
        expect(checksum(split(both, [cut]), 0, bytes.length)).toBe(checksumBytes(viewOf(bytes), 0, bytes.length));
      }
    }),
  );
});

test("partial sums add, and a piece at an odd place is swapped", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 99 }), fc.uint8Array({ maxLength: 99 }), (first, second) => {
      const head = sumBytes(viewOf(first), 0, first.length);
      const tail = sumBytes(viewOf(second), 0, second.length);
      const total = head + (first.length % 2 === 0 ? tail : oddPlace(tail));
      expect(fold(total)).toBe(slowSum(Uint8Array.from([...first, ...second])));
    }),
  );
});

test("a megabyte and more of 0xff stays exact", () => {
  const bytes = new Uint8Array(2 * 1024 * 1024 + 3).fill(0xff);
  expect(sumBytes(viewOf(bytes), 0, bytes.length)).toBe(slowSum(bytes));
});

test("data whose checksum is in place sums to 0xffff, and the complement is 0", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 64 }), (bytes) => {
      const view = viewOf(bytes);
      view.setUint16(0, 0);
      view.setUint16(0, checksumBytes(view, 0, bytes.length));
      expect(complement(sumBytes(view, 0, bytes.length))).toBe(0);
    }),
  );
});
