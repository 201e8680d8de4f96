import { expect, test } from "bun:test";
import { isNetHeaderLength, negotiatedHeaderLength } from "./header-length.ts";

test("a header is 0, 10 or 12 bytes long and nothing else", () => {
  const accepted: number[] = [];
  for (let length = -20; length < 100; length++) if (isNetHeaderLength(length)) accepted.push(length);
  expect(accepted).toEqual([0, 10, 12]);
  expect([10.5, Number.NaN, Number.POSITIVE_INFINITY].some(isNetHeaderLength)).toBe(false);
});

test("num_buffers is there with VERSION_1 or MRG_RXBUF", () => {
  expect(negotiatedHeaderLength(true, true)).toBe(12);
  expect(negotiatedHeaderLength(true, false)).toBe(12);
  expect(negotiatedHeaderLength(false, true)).toBe(12);
  expect(negotiatedHeaderLength(false, false)).toBe(10);
});
