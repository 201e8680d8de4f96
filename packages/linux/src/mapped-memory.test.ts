import { expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { createPipe } from "./eventfd.ts";
import { fileStatus, isPipe, isRegularFile, isSocket } from "./file-status.ts";
import { mapAnonymous, mapFile } from "./mapped-memory.ts";
import { addSeals, createMemoryFile, Seal, sealsOf, setFileSize } from "./memory-file.ts";
import { copyBytesNatively } from "./native-copy.ts";
import { mappingsOf, openFileCount } from "./testing/open-files.ts";
import { createSocketPair } from "./unix-socket.ts";

test("two mappings of one memfd show the same bytes, from an offset too", () => {
  const before = openFileCount();
  {
    using file = createMemoryFile("shared", 16384);
    using whole = mapFile({ fd: file.fd, offset: 0, lengthBytes: 16384 });
    using tail = mapFile({ fd: file.fd, offset: 8192, lengthBytes: 8192 });
    whole.bytes(8192 + 5, 1)[0] = 0x5a;
    expect(tail.bytes(0, 8192)[5]).toBe(0x5a);
    const words = new Int32Array(whole.bytes(0, 64).buffer);
    Atomics.store(words, 3, -7);
    expect(new DataView(whole.bytes(0, 16).buffer).getInt32(12, true)).toBe(-7);
  }
  expect(openFileCount()).toBe(before);
});

test("closing detaches every view and leaves no mapping behind", () => {
  const file = createMemoryFile("stale-view", 8192);
  const memory = mapFile({ fd: file.fd, offset: 0, lengthBytes: 8192 });
  file.close();
  const first = memory.bytes(0, 4096);
  const second = memory.bytes(4096, 4096);
  const view = new DataView(first.buffer);
  const words = new Int32Array(second.buffer);
  first[0] = 1;
  expect(mappingsOf("stale-view")).toHaveLength(1);
  memory.close();
  memory.close();
  expect(mappingsOf("stale-view")).toHaveLength(0);
  expect(memory.address).toBe(0);
  expect([first.length, second.length, words.length]).toEqual([0, 0, 0]);
  expect(first[0]).toBeUndefined();
  first[0] = 2;
  expect(() => view.getUint8(0)).toThrow(TypeError);
  expect(() => Atomics.load(words, 0)).toThrow();
  expect(() => memory.bytes(0, 1)).toThrow(RangeError);
});

test("ranges outside a mapping, and mappings that cannot be, are refused", () => {
  using memory = mapAnonymous(4096);
  for (const [offset, length] of [
    [-1, 4],
    [0, 4097],
    [4096, 1],
    [0, 0],
    [Number.NaN, 1],
    [0, Number.NaN],
  ] as const) {
    expect(() => memory.bytes(offset, length)).toThrow(RangeError);
  }
  expect(() => mapFile({ fd: -1, offset: 0, lengthBytes: 4096 })).toThrow("EBADF");
  expect(() => mapFile({ fd: 0, offset: -4096, lengthBytes: 4096 })).toThrow(RangeError);
  expect(() => mapAnonymous(0)).toThrow(RangeError);
  expect(() => mapAnonymous(Number.NaN)).toThrow(RangeError);
});

test("the length for the kernel is rounded to the block size, the usable one is not", () => {
  using file = createMemoryFile("rounded", 12288);
  using memory = mapFile({ fd: file.fd, offset: 0, lengthBytes: 5000, blockBytes: 4096 });
  expect(memory.lengthBytes).toBe(5000);
  expect(() => memory.bytes(0, 5001)).toThrow(RangeError);
  const range = mappingsOf("rounded")[0]
    .split(" ")[0]
    .split("-")
    .map((text) => Number.parseInt(text, 16));
  expect(range[1] - range[0]).toBe(8192);
});

test("size, block size, kind and seals of a file are read", () => {
  using file = createMemoryFile("sealed", 12345);
  const status = fileStatus(file.fd);
  expect(status.sizeBytes).toBe(12345);
  expect(status.blockBytes).toBe(4096);
  expect(isRegularFile(status)).toBe(true);
  expect(sealsOf(file.fd)).toBe(0);
  addSeals(file.fd, Seal.shrink);
  expect(sealsOf(file.fd)).toBe(Seal.shrink);
  expect(() => setFileSize(file.fd, 1)).toThrow("EPERM");
  setFileSize(file.fd, 20000);
  expect(fileStatus(file.fd).sizeBytes).toBe(20000);

  const [read, write] = createPipe();
  const [left, right] = createSocketPair();
  expect(isPipe(fileStatus(read.fd))).toBe(true);
  expect(isSocket(fileStatus(left.fd))).toBe(true);
  expect(isRegularFile(fileStatus(left.fd))).toBe(false);
  expect(sealsOf(read.fd)).toBeLessThan(0);
  for (const fd of [read, write, left, right]) fd.close();
  expect(() => fileStatus(1_000_000)).toThrow("EBADF");
});

test("the native copy moves exactly its range and refuses one outside a window before touching memory", () => {
  using memory = mapAnonymous(8192);
  const windows = new WindowTable(copyBytesNatively);
  const native = windows.add(memory.bytes(0, 8192), memory.address);
  const portable = windows.add(new Uint8Array(256));
  const bytes = windows.bytes[native];
  for (let length = 0; length <= 100; length++) {
    bytes.fill(0xa5);
    for (let i = 0; i < 200; i++) bytes[4096 + i] = i;
    windows.copy(native, 10, native, 4096 + 3, length);
    for (let i = 0; i < 120; i++) expect(bytes[10 + i]).toBe(i < length ? i + 3 : 0xa5);
    expect(bytes[9]).toBe(0xa5);
  }
  windows.copy(portable, 200, native, 4096, 56);
  expect(windows.bytes[portable][255]).toBe(55);
  const poison = bytes.slice();
  for (const [to, from, length] of [
    [8190, 0, 3],
    [0, 8190, 3],
    [-1, 0, 1],
    [0, -1, 1],
    [0, 0, -1],
    [0, 0, 8193],
    [0.5, 0, 1],
    [0, 0, Number.NaN],
    [2 ** 32, 0, 1],
    [0, 0, 2 ** 31],
  ]) {
    expect(() => windows.copy(native, to, native, from, length)).toThrow(RangeError);
  }
  expect(bytes).toEqual(poison);
  windows.remove(native);
  expect(() => windows.copy(native, 0, portable, 0, 1)).toThrow(RangeError);
});
