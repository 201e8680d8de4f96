import { expect, test } from "bun:test";
import { readUint8, readUint16, readUint32, writeUint8, writeUint16, writeUint32 } from "./scalar.ts";
import { POISON, Scattered } from "./testing/scattered.ts";

test("numbers split over one-byte and empty entries", () => {
  const list = new Scattered([1, 0, 1, 1, 0, 1, 2]);
  list.write(Uint8Array.of(0xf1, 0x02, 0x03, 0x04, 0x05, 0x06));
  expect(readUint8(list.iov, 3)).toBe(4);
  expect(readUint16(list.iov, 1)).toBe(0x0203);
  expect(readUint16(list.iov, 1, true)).toBe(0x0302);
  expect(readUint32(list.iov, 0)).toBe(0xf1020304);
  expect(readUint32(list.iov, 2, true)).toBe(0x06050403);
});

test("a number that passes the end reads -1 and is not written", () => {
  const list = new Scattered([2, 1]);
  expect(readUint8(list.iov, 3)).toBe(-1);
  expect(readUint16(list.iov, 2)).toBe(-1);
  expect(readUint32(list.iov, 0)).toBe(-1);
  expect(writeUint8(list.iov, 3, 1)).toBe(false);
  expect(writeUint16(list.iov, 2, 1)).toBe(false);
  expect(writeUint32(list.iov, 0, 1)).toBe(false);
  expect(list.read().every((byte) => byte === POISON)).toBe(true);
  expect(list.untouchedOutside()).toBe(true);
});

test("writes touch their own bytes only", () => {
  const list = new Scattered([1, 2, 0, 3]);
  expect(writeUint32(list.iov, 1, 0x81020304)).toBe(true);
  expect([...list.read()]).toEqual([POISON, 0x81, 2, 3, 4, POISON]);
  expect(writeUint16(list.iov, 4, 0xabcd, true)).toBe(true);
  expect([...list.read()]).toEqual([POISON, 0x81, 2, 3, 0xcd, 0xab]);
  expect(list.untouchedOutside()).toBe(true);
});
