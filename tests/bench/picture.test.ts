import { expect, test } from "bun:test";
import { ratioOf, spreadOf } from "./pairs.ts";
import { pictureOf } from "./picture.ts";
import { type Circumstances, type Row, tableOf } from "./report.ts";

const circumstances: Circumstances = {
  date: "2026-01-02",
  processor: "a <processor>",
  processors: 2,
  kernel: "6.1",
  congestionControl: "cubic",
  placement: "apart",
  ours: "ours",
  theirs: "theirs 1.0",
  pairs: 3,
  seconds: 5,
};
const rate: Row = { name: "rate", unit: "Gbit/s", higherIsBetter: true, ours: [4, 6, 5], theirs: [2, 2, 5] };
const cost: Row = { name: "cost", unit: "s", higherIsBetter: false, ours: [1, 1, 1], theirs: [2, 4, 1] };

test("a median is the middle one, or between the two in the middle", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
});

test("ratios are of each pair of turns", () => {
  expect(ratioOf(rate)).toEqual({ median: 2, min: 1, max: 3 });
  expect(ratioOf({ ours: [1], theirs: [] })).toBeNull();
});

test("in the picture more is better for every row, with its numbers beside it", () => {
  const picture = pictureOf([rate, cost], circumstances) as string;
  expect(picture).toContain(">2.00 (1.00-3.00)</text>");
  expect(picture).toContain(">2.00 (1.00-4.00)</text>");
  expect(picture).toContain("a &lt;processor>");
  expect(pictureOf([{ ...rate, theirs: [] }], circumstances)).toBeNull();
});

test("the table names medians with lowest and highest, and no ratio when ours was measured alone", () => {
  expect(tableOf([rate], circumstances)).toContain(
    "| rate | Gbit/s | 5.00 (4.00-6.00) | 2.00 (2.00-5.00) | 2.00 (1.00-3.00) | higher    |",
  );
  expect(tableOf([{ ...rate, theirs: [] }], { ...circumstances, theirs: null })).not.toContain("theirs");
});
