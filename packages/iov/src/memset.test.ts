import { expect, test } from "bun:test";
import { memset } from "./memset.ts";
import { POISON, Scattered } from "./testing/scattered.ts";

test("iov_memset: sets exactly [offset, offset + length) across entries, empty ones included", () => {
  const list = new Scattered([2, 0, 1, 0, 4]);
  expect(memset(list.iov, 1, 7, 4)).toBe(4);
  expect([...list.read()]).toEqual([POISON, 7, 7, 7, 7, POISON, POISON]);
  expect(list.untouchedOutside()).toBe(true);
});

test("iov_memset: length is clipped at the end of the list", () => {
  const list = new Scattered([3, 3]);
  expect(memset(list.iov, 4, 1, 100)).toBe(2);
  expect([...list.read()]).toEqual([POISON, POISON, POISON, POISON, 1, 1]);
  expect(list.untouchedOutside()).toBe(true);
});

test("iov_memset: length 0, an offset behind the end and an empty list change nothing", () => {
  const list = new Scattered([3, 3]);
  expect(memset(list.iov, 2, 1, 0)).toBe(0);
  expect(memset(list.iov, 6, 1, 1)).toBe(0);
  expect(memset(list.iov, 60, 1, 1)).toBe(0);
  expect(memset(new Scattered([]).iov, 0, 1, 1)).toBe(0);
  expect(list.read().every((byte) => byte === POISON)).toBe(true);
});
