import { expect, test } from "bun:test";
import { Iov, IovPool } from "./iov.ts";
import { memset } from "./memset.ts";
import { WINDOW_BYTES_MAX, WINDOWS_MAX, WindowTable } from "./windows.ts";

test("add takes the index that was freed last, or a new one", () => {
  const windows = new WindowTable();
  expect([0, 1, 2].map(() => windows.add(new Uint8Array(4), 4096))).toEqual([0, 1, 2]);
  expect(windows.addresses[1]).toBe(4096);
  windows.remove(0);
  windows.remove(1);
  expect(windows.count).toBe(1);
  expect(windows.add(new Uint8Array(8))).toBe(1);
  expect(windows.add(new Uint8Array(8))).toBe(0);
  expect(windows.add(new Uint8Array(8))).toBe(3);
  expect(windows.views[1].byteLength).toBe(8);
});

test("a view covers exactly its window", () => {
  const windows = new WindowTable();
  const memory = new Uint8Array(32);
  const window = windows.add(memory.subarray(8, 16));
  windows.views[window].setUint8(0, 1);
  expect(memory[8]).toBe(1);
  expect(() => windows.views[window].setUint8(8, 1)).toThrow(RangeError);
});

test("a stale entry reaches no memory", () => {
  const windows = new WindowTable();
  const memory = new Uint8Array(32);
  const window = windows.add(memory);
  const pool = new IovPool(windows, 1);
  pool.append(window, 0, 32);
  windows.remove(window);
  memset(new Iov(pool, 0, 1), 0, 1, 32);
  expect(memory.every((byte) => byte === 0)).toBe(true);
  expect(() => windows.views[window].getUint8(0)).toThrow(RangeError);
});

test("removing what is not there is an error", () => {
  const windows = new WindowTable();
  const window = windows.add(new Uint8Array(1));
  expect(() => windows.remove(window + 1)).toThrow(RangeError);
  expect(() => windows.remove(-1)).toThrow(RangeError);
  windows.remove(window);
  expect(() => windows.remove(window)).toThrow(RangeError);
});

test("a window larger than 1 GiB and more windows than an entry can name are refused", () => {
  const windows = new WindowTable();
  const large = Object.defineProperty(new Uint8Array(0), "length", { value: WINDOW_BYTES_MAX + 1 });
  expect(() => windows.add(large)).toThrow("at most 1073741824 bytes");
  const empty = new Uint8Array(0);
  for (let i = 0; i < WINDOWS_MAX; i++) windows.add(empty);
  expect(() => windows.add(empty)).toThrow("at most 65536 windows");
});

// With a search through the free indexes at each removal this takes longer than a test may.
test("the fullest table is emptied and filled again, whatever the order", () => {
  const windows = new WindowTable();
  const empty = new Uint8Array(0);
  for (let i = 0; i < WINDOWS_MAX; i++) windows.add(empty);
  for (let i = 0; i < WINDOWS_MAX; i += 2) windows.remove(i);
  for (let i = WINDOWS_MAX - 1; i > 0; i -= 2) windows.remove(i);
  expect(windows.count).toBe(0);
  const again = Array.from({ length: WINDOWS_MAX }, () => windows.add(empty));
  expect(new Set(again).size).toBe(WINDOWS_MAX);
  expect(windows.bytes.length).toBe(WINDOWS_MAX);
});
