import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  copy,
  equals,
  ipv4Words,
  isBroadcast,
  isIpv4Mapped,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  loopback4,
  loopback6,
  readIpv4,
  readIpv6,
  writeIpv4,
  writeIpv6,
} from "./address.ts";

const v6 = (a: number, b = 0, c = 0, d = 0): Uint32Array => Uint32Array.of(a, b, c, d);

test.each([
  // [address, mapped, loopback, link-local, multicast, unspecified, broadcast]
  [loopback4(), 1, 1, 0, 0, 0, 0],
  [ipv4Words(0x7f0a0b0c), 1, 1, 0, 0, 0, 0],
  [ipv4Words(0x80000001), 1, 0, 0, 0, 0, 0],
  [ipv4Words(0xa9fe0201), 1, 0, 1, 0, 0, 0],
  [ipv4Words(0xa9ff0201), 1, 0, 0, 0, 0, 0],
  [ipv4Words(0xe0000001), 1, 0, 0, 1, 0, 0],
  [ipv4Words(0xefffffff), 1, 0, 0, 1, 0, 0],
  [ipv4Words(0xf0000000), 1, 0, 0, 0, 0, 0],
  [ipv4Words(0xffffffff), 1, 0, 0, 0, 0, 1],
  [ipv4Words(0), 1, 0, 0, 0, 1, 0],
  [loopback6(), 0, 1, 0, 0, 0, 0],
  [v6(0), 0, 0, 0, 0, 1, 0],
  [v6(0, 0, 1, 1), 0, 0, 0, 0, 0, 0],
  [v6(0xfe800000, 0, 0, 1), 0, 0, 1, 0, 0, 0],
  [v6(0xfebfffff, 0, 0, 1), 0, 0, 1, 0, 0, 0],
  [v6(0xfec00000, 0, 0, 1), 0, 0, 0, 0, 0, 0],
  [v6(0xff020000, 0, 0, 1), 0, 0, 0, 1, 0, 0],
  [v6(0x20010db8, 0, 0xffff, 1), 0, 0, 0, 0, 0, 0],
])("%p is classified", (words, mapped, loopback, linkLocal, multicast, unspecified, broadcast) => {
  const placed = new Uint32Array(8).fill(0xffffffff);
  copy(placed, 3, words, 0);
  const classes = [isIpv4Mapped, isLoopback, isLinkLocal, isMulticast, isUnspecified, isBroadcast];
  expect(classes.map((is) => Number(is(placed, 3)))).toEqual([
    mapped,
    loopback,
    linkLocal,
    multicast,
    unspecified,
    broadcast,
  ]);
});

test("what is written is read again, and nothing beside it changes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(5), (bytes, at) => {
      const out = new Uint8Array(32).fill(0xa5);
      const view = new DataView(out.buffer);
      const words = new Uint32Array(6);
      readIpv6(new DataView(bytes.buffer, bytes.byteOffset), 0, words, 1);
      writeIpv6(view, at, words, 1);
      expect([...out.subarray(at, at + 16)]).toEqual([...bytes]);
      expect(out.subarray(0, at).every((byte) => byte === 0xa5)).toBe(true);
      expect(out.subarray(at + 16).every((byte) => byte === 0xa5)).toBe(true);
      out.fill(0xa5);
      readIpv4(new DataView(bytes.buffer, bytes.byteOffset), 3, words);
      expect(isIpv4Mapped(words, 0)).toBe(true);
      writeIpv4(view, at, words, 0);
      expect([...out.subarray(at, at + 4)]).toEqual([...bytes.subarray(3, 7)]);
      expect(out.subarray(at + 4).every((byte) => byte === 0xa5)).toBe(true);
    }),
  );
});

test("two addresses are equal when all four words are", () => {
  const base = v6(1, 2, 3, 4);
  expect(equals(base, 0, v6(1, 2, 3, 4), 0)).toBe(true);
  for (let i = 0; i < 4; i++) {
    const other = base.slice();
    other[i] ^= 1;
    expect(equals(base, 0, other, 0)).toBe(false);
  }
});
