import { toArrayBuffer } from "bun:ffi";
import { expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import fc from "fast-check";
import { IovecTable } from "./iovec-table.ts";
import { Errno } from "./system-error.ts";

/** The entries as (address, length) pairs, read back from native memory. */
function readBack(table: IovecTable): [bigint, bigint][] {
  if (table.count === 0) return [];
  const longs = new BigUint64Array(toArrayBuffer(table.address, 0, table.count * 16));
  return Array.from({ length: table.count }, (_, i) => [longs[2 * i], longs[2 * i + 1]]);
}

/** Every byte address of the list, one after the other. */
function addressesOf(entries: readonly [address: bigint, length: bigint][]): bigint[] {
  return entries.flatMap(([address, length]) => Array.from({ length: Number(length) }, (_, i) => address + BigInt(i)));
}

test("the native entries name exactly the bytes of the range, in order, until the table is full", () => {
  const entry = fc.record({
    window: fc.integer({ min: 0, max: 2 }),
    offset: fc.integer({ min: 0, max: 40 }),
    length: fc.integer({ min: 0, max: 24 }),
  });
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 12 }),
      fc.nat(120),
      fc.nat(200),
      fc.integer({ min: 1, max: 12 }),
      (entries, offset, lengthBytes, capacity) => {
        const windows = new WindowTable();
        // Addresses around a carry into the upper half, and above 2^46; nothing is read there.
        const bases = [0x1_0000_0000 - 20, 0x7fff_ffff_f000 - 64, 0x10000];
        for (const base of bases) windows.add(new Uint8Array(64), base);
        const pool = new IovPool(windows, 12);
        for (const one of entries) pool.append(one.window, one.offset, one.length);
        const table = new IovecTable(capacity);
        const covered = table.append(new Iov(pool, 0, entries.length), offset, lengthBytes);

        const all = addressesOf(entries.map((one) => [BigInt(bases[one.window] + one.offset), BigInt(one.length)]));
        const native = readBack(table);
        expect(native.every(([, length]) => length > 0n)).toBe(true);
        const named = addressesOf(native);
        expect(named).toHaveLength(covered);
        expect(named).toEqual(all.slice(offset, offset + covered));
        if (table.count < capacity) expect(covered).toBe(Math.max(0, Math.min(lengthBytes, all.length - offset)));
      },
    ),
  );
});

test("an entry that leaves its window by one byte is refused, one that just fits is not", () => {
  fc.assert(
    fc.property(fc.nat(64), fc.integer({ min: 1, max: 64 }), (offset, length) => {
      const windows = new WindowTable();
      windows.add(new Uint8Array(64), 4096);
      const pool = new IovPool(windows, 1);
      pool.append(0, offset, length);
      const table = new IovecTable(4);
      const covered = table.append(new Iov(pool, 0, 1), 0, length);
      expect(covered).toBe(offset + length <= 64 ? length : -Errno.EFAULT);
      expect(table.count).toBe(covered > 0 ? 1 : 0);
    }),
  );
});
