import { expect, test } from "bun:test";
import { gather, memcopy, scatter } from "./memcopy.ts";
import { POISON, Scattered } from "./testing/scattered.ts";
import { copyBytesPortably, WindowTable } from "./windows.ts";

const bytes = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i + 1);

test("iov_memcopy: any segmentation on either side, empty entries included", () => {
  const windows = new WindowTable();
  const to = new Scattered([1, 0, 3, 5], windows);
  const from = new Scattered([0, 4, 4, 0], windows);
  from.write(bytes(8));
  expect(memcopy(to.iov, 1, from.iov, 2, 5)).toBe(5);
  expect([...to.read()]).toEqual([POISON, 3, 4, 5, 6, 7, POISON, POISON, POISON]);
  expect(to.untouchedOutside()).toBe(true);
});

test("iov_memcopy: copies min(length, both remainders) and says how much", () => {
  const windows = new WindowTable();
  const to = new Scattered([4, 4], windows);
  const from = new Scattered([2, 2], windows);
  expect(memcopy(to.iov, 0, from.iov, 1, 100)).toBe(3);
  expect(memcopy(to.iov, 6, from.iov, 0, 100)).toBe(2);
  expect(memcopy(to.iov, 8, from.iov, 0, 1)).toBe(0);
  expect(memcopy(to.iov, 0, from.iov, 4, 1)).toBe(0);
  expect(memcopy(to.iov, 0, from.iov, 0, 0)).toBe(0);
});

test("a table's own copy gets exactly the ranges, one call a contiguous piece", () => {
  const calls: number[][] = [];
  const windows = new WindowTable((table, ...range) => {
    calls.push(range);
    copyBytesPortably(table, ...range);
  });
  const to = new Scattered([100, 100], windows);
  const flat = windows.add(bytes(120));
  expect(scatter(to.iov, 10, flat, 5, 115)).toBe(115);
  expect(calls.map((range) => range[4])).toEqual([90, 25]);
  expect(to.read().slice(10, 125)).toEqual(bytes(120).slice(5));
});

test("gather and scatter stop at the end of the list", () => {
  const list = new Scattered([3, 0, 3]);
  list.write(bytes(6));
  const scratch = new Uint8Array(10);
  const window = list.windows.add(scratch);
  expect(gather(list.iov, 2, window, 1, 9)).toBe(4);
  expect([...scratch]).toEqual([0, 3, 4, 5, 6, 0, 0, 0, 0, 0]);
  expect(scatter(list.iov, 5, window, 1, 9)).toBe(1);
  expect([...list.read()]).toEqual([1, 2, 3, 4, 5, 3]);
  expect(list.untouchedOutside()).toBe(true);
});
