import { expect, test } from "bun:test";
import { WINDOW_BYTES_MAX } from "@passt-ts/iov/windows";
import { cutIntoWindows } from "./window-cut.ts";

test("all windows are full but the last", () => {
  expect(cutIntoWindows(10, 4)).toEqual([4, 4, 2]);
  expect(cutIntoWindows(8, 4)).toEqual([4, 4]);
  expect(cutIntoWindows(1, 4)).toEqual([1]);
});

test("unless told otherwise, a window holds 1 GiB", () => {
  expect(cutIntoWindows(2.5 * WINDOW_BYTES_MAX)).toEqual([WINDOW_BYTES_MAX, WINDOW_BYTES_MAX, WINDOW_BYTES_MAX / 2]);
});

test("sizes that no mapping has are refused", () => {
  for (const size of [0, -1, 1.5, 2 ** 53]) expect(() => cutIntoWindows(size, 4)).toThrow(RangeError);
  for (const windowBytes of [0, -4, 0.5]) expect(() => cutIntoWindows(4, windowBytes)).toThrow(RangeError);
});
