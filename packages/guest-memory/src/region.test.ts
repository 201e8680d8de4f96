import { expect, test } from "bun:test";
import { checkRegions, type RegionErrorCode, type RegionRange } from "./region.ts";

const range = (guestAddress: number, sizeBytes: number, userAddress = guestAddress): RegionRange => ({
  guestAddress,
  userAddress,
  sizeBytes,
});

function refusal(regions: RegionRange[]): RegionErrorCode | "accepted" {
  try {
    checkRegions(regions);
    return "accepted";
  } catch (error) {
    return (error as { code: RegionErrorCode }).code;
  }
}

test("regions that touch, in any order, are a table", () => {
  expect(refusal([])).toBe("accepted");
  expect(refusal([range(0x2000, 0x1000), range(0, 0x1000), range(0x1000, 0x1000)])).toBe("accepted");
});

test("forty regions are a table", () => {
  expect(refusal(Array.from({ length: 40 }, (_, i) => range(i * 0x10_0000, 0x10_0000)))).toBe("accepted");
});

test("a region of no bytes, or of no number of bytes, is refused", () => {
  for (const sizeBytes of [0, -1, 0.5, Number.NaN, 2 ** 53]) {
    expect(refusal([range(0, sizeBytes)])).toBe("REGION_EMPTY");
  }
});

test("a region may end at 2^53 - 1 and not above, in both address spaces", () => {
  const last = Number.MAX_SAFE_INTEGER;
  expect(refusal([range(last - 4096, 4096)])).toBe("accepted");
  expect(refusal([range(last - 4095, 4096, 0)])).toBe("REGION_RANGE");
  expect(refusal([range(0, 4096, last - 4095)])).toBe("REGION_RANGE");
  expect(refusal([range(0, 4096, 2 ** 63)])).toBe("REGION_RANGE");
  expect(refusal([range(-1, 4096, 0)])).toBe("REGION_RANGE");
});

test("two regions that share one guest byte are refused", () => {
  expect(refusal([range(0x1000, 0x1000), range(0, 0x1001)])).toBe("REGION_OVERLAP");
  expect(refusal([range(0, 0x3000), range(0x1000, 0x1000)])).toBe("REGION_OVERLAP");
  expect(refusal([range(0, 1), range(0, 1)])).toBe("REGION_OVERLAP");
});

test("two regions may show the same user memory", () => {
  expect(refusal([range(0, 0x1000, 0x7000), range(0x1000, 0x1000, 0x7000)])).toBe("accepted");
});
