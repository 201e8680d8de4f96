import { expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { checksum, checksumBytes, sumIov } from "./checksum.ts";
import { pseudoHeader4, pseudoHeader6, pseudoHeaderOf4, pseudoHeaderOf6 } from "./pseudo-header.ts";
import { complement, fold, oddPlace, sumBytes } from "./sum.ts";

const bytesOf = (hex: string) => Uint8Array.from(hex.match(/[0-9a-f]{2}/g) ?? [], (byte) => Number.parseInt(byte, 16));
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer);

test("the example of RFC 1071 section 3", () => {
  const view = viewOf(bytesOf("00 01 f2 03 f4 f5 f6 f7"));
  expect(sumBytes(view, 0, 8)).toBe(0xddf2);
  expect(checksumBytes(view, 0, 8)).toBe(0x220d);
});

test("the header of a known IPv4 packet", () => {
  const view = viewOf(bytesOf("45 00 00 73 00 00 40 00 40 11 00 00 c0 a8 00 01 c0 a8 00 c7"));
  expect(checksumBytes(view, 0, 20)).toBe(0xb861);
});

test("zero stays zero, every other multiple of 0xffff is 0xffff", () => {
  expect(fold(0)).toBe(0);
  for (const sum of [0xffff, 0x1_fffe, 0xffff_ffff, 0xffff * 0x8000_0001]) expect(fold(sum)).toBe(0xffff);
  expect(fold(2 ** 53 - 1)).toBe(Number((2n ** 53n - 1n) % 0xffffn));
  expect(complement(0)).toBe(0xffff);
  expect(oddPlace(0x1234)).toBe(0x3412);
  expect(oddPlace(0x1_0000)).toBe(0x0100);
});

test("a range of odd length counts as if a zero followed, whatever follows", () => {
  const view = viewOf(bytesOf("12 34 56 ff"));
  expect(sumBytes(view, 0, 3)).toBe(0x1234 + 0x5600);
  expect(sumBytes(view, 1, 2)).toBe(0x3400);
  expect(sumBytes(view, 2, 2)).toBe(0);
});

test("a list that ends before the length is summed to its end", () => {
  const windows = new WindowTable();
  const pool = new IovPool(windows, 2);
  const window = windows.add(bytesOf("00 01 00 02 00 04"));
  pool.append(window, 0, 2);
  pool.append(window, 2, 2);
  const iov = new Iov(pool, 0, 2);
  expect(sumIov(iov, 0, 100)).toBe(3);
  expect(sumIov(iov, 4, 1)).toBe(0);
  expect(sumIov(iov, 0, 0, 9)).toBe(9);
  expect(checksum(iov, 0, 2)).toBe(0xfffe);
});

test("pseudo-header of IPv4, from words and from a header", () => {
  const header = viewOf(bytesOf("45 00 00 1d 00 00 40 00 ff 11 00 00 c0 00 02 01 c0 00 02 02"));
  const source = Uint32Array.of(9, 9, 0, 0, 0xffff, 0xc000_0201);
  const destination = Uint32Array.of(0, 0, 0xffff, 0xc000_0202);
  const expected = fold(0xc000 + 0x0201 + 0xc000 + 0x0202 + 17 + 9);
  expect(pseudoHeader4(source, 2, destination, 0, 17, 9)).toBe(expected);
  expect(pseudoHeaderOf4(header, 0, 17, 9)).toBe(expected);
});

test("pseudo-header of IPv6, from words and from a header, with a length above 16 bits", () => {
  const header = viewOf(
    bytesOf(
      "60 00 00 00 00 00 3a ff fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 99",
    ),
  );
  const source = Uint32Array.of(0xfe80_0000, 0, 0, 1);
  const destination = Uint32Array.of(7, 0x2001_0db8, 0, 0, 0x99);
  const expected = fold(0xfe80 + 1 + 0x2001 + 0x0db8 + 0x99 + 58 + 1 + 0x0002);
  expect(pseudoHeader6(source, 0, destination, 1, 58, 0x1_0002)).toBe(expected);
  expect(pseudoHeaderOf6(header, 0, 58, 0x1_0002)).toBe(expected);
});
