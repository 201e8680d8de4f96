import { expect, test } from "bun:test";
import { array, assert, constantFrom, integer, nat, property, record, uint8Array } from "fast-check";
import { appendRange, capacityOf, contiguousAt, Iov, IovPool } from "./iov.ts";
import { gather, memcopy, scatter } from "./memcopy.ts";
import { memset } from "./memset.ts";
import { readUint8, readUint16, readUint32, writeUint8, writeUint16, writeUint32 } from "./scalar.ts";
import { POISON, Scattered } from "./testing/scattered.ts";
import { WindowTable } from "./windows.ts";

// The model of every list is one flat array.

const sizes = array(constantFrom(0, 1, 2, 3, 5, 12, 47, 48, 49, 130), { maxLength: 12 });
const offset = nat({ max: 400 });
const length = nat({ max: 700 });

function filled(list: Scattered, seed: number): Uint8Array<ArrayBuffer> {
  const flat = new Uint8Array(list.sizeBytes).map((_, i) => (i * 31 + seed) & 0xff);
  list.write(flat);
  return flat;
}

test("property: memset sets exactly [offset, offset + length), clipped at the end of the list", () => {
  assert(
    property(sizes, offset, length, nat({ max: 255 }), (entries, at, lengthBytes, byte) => {
      const list = new Scattered(entries);
      const flat = filled(list, 7);
      const done = memset(list.iov, at, byte, lengthBytes);
      flat.fill(byte, at, at + lengthBytes);
      expect(list.read()).toEqual(flat);
      expect(done).toBe(Math.max(0, Math.min(lengthBytes, list.sizeBytes - at)));
      expect(list.untouchedOutside()).toBe(true);
    }),
  );
});

test("property: memcopy equals a flat copy with any segmentation on either side", () => {
  const side = record({ entries: sizes, at: offset });
  assert(
    property(side, side, length, (a, b, lengthBytes) => {
      const windows = new WindowTable();
      const to = new Scattered(a.entries, windows);
      const from = new Scattered(b.entries, windows);
      const toFlat = filled(to, 3);
      const fromFlat = filled(from, 101);
      const done = memcopy(to.iov, a.at, from.iov, b.at, lengthBytes);
      const expected = Math.max(0, Math.min(lengthBytes, to.sizeBytes - a.at, from.sizeBytes - b.at));
      expect(done).toBe(expected);
      if (expected > 0) toFlat.set(fromFlat.subarray(b.at, b.at + expected), a.at);
      expect(to.read()).toEqual(toFlat);
      expect(from.read()).toEqual(fromFlat);
      expect(to.untouchedOutside() && from.untouchedOutside()).toBe(true);
    }),
  );
});

test("property: gather and scatter equal a flat copy", () => {
  assert(
    property(sizes, offset, length, (entries, at, lengthBytes) => {
      const list = new Scattered(entries);
      const flat = filled(list, 55);
      const scratch = new Uint8Array(lengthBytes + 2).fill(POISON);
      const window = list.windows.add(scratch);
      const expected = Math.max(0, Math.min(lengthBytes, list.sizeBytes - at));
      expect(gather(list.iov, at, window, 1, lengthBytes)).toBe(expected);
      expect(scratch.subarray(1, 1 + expected)).toEqual(flat.subarray(at, at + expected));
      expect(scratch.subarray(1 + expected).every((byte) => byte === POISON)).toBe(true);
      scratch.fill(0xee, 1, 1 + lengthBytes);
      expect(scatter(list.iov, at, window, 1, lengthBytes)).toBe(expected);
      flat.fill(0xee, at, at + lengthBytes);
      expect(list.read()).toEqual(flat);
      expect(list.untouchedOutside()).toBe(true);
    }),
  );
});

test("property: appendRange covers exactly the range, without empty entries, or leaves the pool as it was", () => {
  assert(
    property(sizes, offset, length, nat({ max: 8 }), (entries, at, lengthBytes, capacity) => {
      const list = new Scattered(entries);
      const flat = filled(list, 90);
      const pool = new IovPool(list.windows, capacity + 1);
      pool.append(0, 0, 1);
      const expected = Math.max(0, Math.min(lengthBytes, list.sizeBytes - at));
      const done = appendRange(pool, list.iov, at, lengthBytes);
      const range = new Iov(pool, 1, pool.count - 1);
      if (done === -1) {
        expect(pool.count).toBe(1);
        const wide = new IovPool(list.windows, entries.length);
        expect(appendRange(wide, list.iov, at, lengthBytes)).toBe(expected);
        expect(wide.count).toBeGreaterThan(capacity);
        return;
      }
      expect(done).toBe(expected);
      expect(capacityOf(range)).toBe(expected);
      expect([...pool.length.subarray(0, pool.count)].every((bytes) => bytes > 0)).toBe(true);
      const scratch = list.windows.add(new Uint8Array(expected));
      gather(range, 0, scratch, 0, expected);
      expect(list.windows.bytes[scratch]).toEqual(flat.slice(at, at + expected));
    }),
  );
});

test("property: numbers scattered over entries read and write as in a flat array", () => {
  const wide = uint8Array({ minLength: 12, maxLength: 12 });
  const cuts = array(integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 10 });
  assert(
    property(cuts, wide, nat({ max: 14 }), nat({ max: 0xffffffff }), (entries, bytes, at, value) => {
      const list = new Scattered(entries);
      const flat = Uint8Array.from(bytes.subarray(0, list.sizeBytes));
      const size = flat.length;
      list.write(bytes);
      const model = new Uint8Array(size + 16);
      model.set(flat);
      const view = new DataView(model.buffer);
      if (list.sizeBytes <= bytes.length) {
        expect(readUint8(list.iov, at)).toBe(at < size ? view.getUint8(at) : -1);
        for (const little of [false, true]) {
          expect(readUint16(list.iov, at, little)).toBe(at + 2 <= size ? view.getUint16(at, little) : -1);
          expect(readUint32(list.iov, at, little)).toBe(at + 4 <= size ? view.getUint32(at, little) : -1);
        }
      }
      list.write(new Uint8Array(list.sizeBytes));
      for (const little of [false, true]) {
        expect(writeUint8(list.iov, at, value)).toBe(at + 1 <= list.sizeBytes);
        expect(readUint8(list.iov, at)).toBe(at + 1 <= list.sizeBytes ? value & 0xff : -1);
        expect(writeUint16(list.iov, at, value, little)).toBe(at + 2 <= list.sizeBytes);
        expect(readUint16(list.iov, at, little)).toBe(at + 2 <= list.sizeBytes ? value & 0xffff : -1);
        expect(writeUint32(list.iov, at, value, little)).toBe(at + 4 <= list.sizeBytes);
        expect(readUint32(list.iov, at, little)).toBe(at + 4 <= list.sizeBytes ? value : -1);
      }
      expect(list.untouchedOutside()).toBe(true);
      const after = list.read();
      after.fill(0, at, at + 4);
      expect(after.every((byte) => byte === 0)).toBe(true);
    }),
  );
});

test("property: contiguousAt and capacityOf say what the entries hold", () => {
  assert(
    property(sizes, offset, (entries, at) => {
      const list = new Scattered(entries);
      expect(capacityOf(list.iov)).toBe(list.sizeBytes);
      let end = 0;
      let expected = 0;
      for (const size of entries) {
        if (at >= end && at < end + size) expected = end + size - at;
        end += size;
      }
      expect(contiguousAt(list.iov, at)).toBe(expected);
    }),
  );
});
