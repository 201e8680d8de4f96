import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { GuestMemory, Translation } from "./guest-memory.ts";
import type { Region, RegionRange } from "./region.ts";
import { cutIntoWindows } from "./window-cut.ts";

const GIB = 2 ** 30;

function map(windows: WindowTable, range: RegionRange, windowBytesMax: number): Region {
  const sizes = cutIntoWindows(range.sizeBytes, windowBytesMax);
  return { ...range, windows: sizes.map((bytes) => windows.add(new Uint8Array(bytes))) };
}

/** Two regions that touch at guest address 64, and one above 4 GiB; windows of 32 bytes; window 0 is somebody else's. */
function example(): GuestMemory {
  const windows = new WindowTable();
  windows.add(new Uint8Array(8));
  return new GuestMemory(windows, [
    map(windows, { guestAddress: 64, userAddress: 0x7f00_0000_2000, sizeBytes: 40 }, 32), // windows 1, 2
    map(windows, { guestAddress: 0, userAddress: 0x7f00_0000_0000, sizeBytes: 64 }, 32), // windows 3, 4
    map(windows, { guestAddress: 5 * GIB, userAddress: 0x7f00_0000_1000, sizeBytes: 32 }, 32), // window 5
  ]);
}

function entries(pool: IovPool): number[][] {
  return Array.from({ length: pool.count }, (_, i) => [pool.window[i], pool.offset[i], pool.length[i]]);
}

function translate(memory: GuestMemory, address: number, lengthBytes: number, capacity = 8): number | number[][] {
  const pool = new IovPool(memory.windows, capacity);
  const result = memory.translate(Math.floor(address / 2 ** 32), address % 2 ** 32, lengthBytes, pool);
  if (result !== Translation.mapped) expect(pool.count).toBe(0);
  return result === Translation.mapped ? entries(pool) : result;
}

test("a buffer inside one window is one entry", () => {
  expect(translate(example(), 5, 10)).toEqual([[3, 5, 10]]);
  expect(translate(example(), 5 * GIB + 31, 1)).toEqual([[5, 31, 1]]);
});

test("a buffer across a window edge is two entries", () => {
  expect(translate(example(), 30, 4)).toEqual([
    [3, 30, 2],
    [4, 0, 2],
  ]);
});

test("a buffer across regions that touch is one buffer", () => {
  expect(translate(example(), 16, 88)).toEqual([
    [3, 16, 16],
    [4, 0, 32],
    [1, 0, 32],
    [2, 0, 8],
  ]);
});

test("a buffer that leaves the memory is unmapped as a whole", () => {
  const memory = example();
  expect(translate(memory, 103, 1)).toEqual([[2, 7, 1]]);
  expect(translate(memory, 103, 2)).toBe(Translation.unmapped);
  expect(translate(memory, 104, 1)).toBe(Translation.unmapped);
  expect(translate(memory, 5 * GIB - 1, 2)).toBe(Translation.unmapped);
  expect(translate(memory, 0, 2 ** 32 - 1)).toBe(Translation.unmapped);
});

test("address plus length does not wrap at 2^32, 2^53 or 2^64", () => {
  const memory = example();
  const pool = new IovPool(memory.windows, 8);
  memory.translate(0, 0, 8, pool); // fills the cache of the last hit
  pool.truncate(0);
  expect(memory.translate(0, 0xffff_fff8, 16, pool)).toBe(Translation.unmapped);
  expect(memory.translate(0x001f_ffff, 0xffff_fff8, 16, pool)).toBe(Translation.unmapped);
  expect(memory.translate(0xffff_ffff, 0xffff_fff8, 16, pool)).toBe(Translation.unmapped);
  expect(memory.translate(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, pool)).toBe(Translation.unmapped);
  expect(memory.translate(1, 5, 1, pool)).toBe(Translation.unmapped);
  expect(pool.count).toBe(0);
});

test("a buffer of no bytes adds nothing, wherever it is", () => {
  expect(translate(example(), 10, 0)).toEqual([]);
  expect(translate(example(), 7 * GIB, 0)).toEqual([]);
});

test("a pool with too little room stays as it was", () => {
  const memory = example();
  const pool = new IovPool(memory.windows, 3);
  pool.append(0, 1, 2);
  expect(memory.translate(0, 16, 88, pool)).toBe(Translation.poolFull);
  expect(entries(pool)).toEqual([[0, 1, 2]]);
  expect(memory.translate(0, 30, 4, pool)).toBe(Translation.mapped);
  expect(memory.translate(0, 30, 1, pool)).toBe(Translation.poolFull); // now by way of the last hit
  expect(pool.count).toBe(3);
});

test("unmapped is said before pool full", () => {
  expect(translate(example(), 103, 2, 0)).toBe(Translation.unmapped);
});

test("a table without regions maps nothing", () => {
  const memory = new GuestMemory(new WindowTable(), []);
  expect(translate(memory, 0, 1)).toBe(Translation.unmapped);
  expect(memory.locateUser(0, 1)).toBeNull();
});

test("a new table from the regions of an old one, with one more or one less, leaves the old one alone", () => {
  const old = example();
  const { windows, regions } = old;
  const more = new GuestMemory(windows, [
    ...regions,
    map(windows, { guestAddress: 104, userAddress: 0, sizeBytes: 8 }, 32),
  ]);
  expect(translate(more, 103, 2)).toEqual([
    [2, 7, 1],
    [6, 0, 1],
  ]);
  const less = new GuestMemory(windows, regions.slice(1));
  expect(translate(less, 64, 1)).toBe(Translation.unmapped);
  expect(translate(old, 103, 2)).toBe(Translation.unmapped);
  expect(translate(old, 64, 1)).toEqual([[1, 0, 1]]);
});

test("windows that do not add up to their region are refused", () => {
  const windows = new WindowTable();
  const region = map(windows, { guestAddress: 0, userAddress: 0, sizeBytes: 64 }, 32);
  const code = (sizeBytes: number, indices: number[]): unknown => {
    try {
      new GuestMemory(windows, [{ ...region, sizeBytes, windows: indices }]);
      return "accepted";
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(code(64, [0, 1])).toBe("accepted");
  expect(code(65, [0, 1])).toBe("REGION_WINDOWS");
  expect(code(63, [0, 1])).toBe("REGION_WINDOWS");
  expect(code(64, [])).toBe("REGION_WINDOWS");
  expect(code(64, [0, 1, 2])).toBe("REGION_WINDOWS");
  windows.remove(1);
  expect(code(64, [0, 1])).toBe("REGION_WINDOWS");
  expect(code(32, [0, 1])).toBe("REGION_WINDOWS");
});

test("a front-end address is found with its whole length in one region", () => {
  const memory = example();
  const [, low, high] = memory.regions;
  expect(memory.locateUser(0x7f00_0000_0000, 64)).toEqual({ region: low, offset: 0 });
  expect(memory.locateUser(0x7f00_0000_1004, 28)).toEqual({ region: high, offset: 4 });
  expect(memory.locateUser(0x7f00_0000_0001, 64)).toBeNull();
  expect(memory.locateUser(0x7f00_0000_0040, 0)).toBeNull();
  expect(memory.locateUser(0x7f00_0000_0fff, 1)).toBeNull();
  expect(memory.locateUser(2 ** 60, 1)).toBeNull();
  expect(memory.locateUser(0x7f00_0000_0000, -1)).toBeNull();
});
