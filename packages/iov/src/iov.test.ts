import { expect, test } from "bun:test";
import { appendRange, capacityOf, Iov, IovPool } from "./iov.ts";
import { Scattered } from "./testing/scattered.ts";
import { WindowTable } from "./windows.ts";

test("a full pool refuses an entry and stays as it was", () => {
  const pool = new IovPool(new WindowTable(), 2);
  expect(pool.append(0, 1, 2)).toBe(true);
  expect(pool.append(3, 4, 5)).toBe(true);
  expect(pool.append(6, 7, 8)).toBe(false);
  expect(pool.count).toBe(2);
  expect([pool.window[1], pool.offset[1], pool.length[1]]).toEqual([3, 4, 5]);
});

test("truncate drops the newest entries and never adds one", () => {
  const pool = new IovPool(new WindowTable(), 4);
  for (let i = 0; i < 3; i++) pool.append(0, i, 1);
  pool.truncate(4);
  expect(pool.count).toBe(3);
  pool.truncate(1);
  expect(pool.count).toBe(1);
});

test("select points the same list at another frame", () => {
  const { iov } = new Scattered([1, 2, 3, 4]);
  expect(capacityOf(iov)).toBe(10);
  expect(capacityOf(iov.select(iov.first + 1, 2))).toBe(5);
  expect(capacityOf(iov.select(iov.first, 0))).toBe(0);
});

test("appendRange: a range that does not fit leaves the pool as it was", () => {
  const list = new Scattered([1, 2, 3]);
  const pool = new IovPool(list.windows, 2);
  expect(appendRange(pool, list.iov, 0, 6)).toBe(-1);
  expect(pool.count).toBe(0);
  expect(appendRange(pool, list.iov, 2, 100)).toBe(4);
  expect(pool.count).toBe(2);
  expect([pool.length[0], pool.length[1]]).toEqual([1, 3]);
});

test("two lists over two tables do not disturb each other", () => {
  const one = new Scattered([4]);
  const other = new Scattered([4]);
  one.write(Uint8Array.of(1, 2, 3, 4));
  other.write(Uint8Array.of(5, 6, 7, 8));
  expect([...one.read(), ...other.read()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(new Iov(one.iov.pool).count).toBe(0);
});
