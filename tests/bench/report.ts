// What a run of the benchmark says: a table to read, and all samples as JSON.

import { ratioOf, type Samples, type Spread, spreadOf } from "./pairs.ts";

export interface Row extends Samples {
  readonly name: string;
  readonly unit: string;
  /** Whether a ratio above 1 is good for us. */
  readonly higherIsBetter: boolean;
}

/** Where and with what it was measured. */
export interface Circumstances {
  readonly date: string;
  readonly processor: string;
  readonly processors: number;
  readonly kernel: string;
  /** Of the host's TCP. */
  readonly congestionControl: string;
  /** Of guest and host programs on the processors. */
  readonly placement: string;
  readonly ours: string;
  /** Null: measured alone. */
  readonly theirs: string | null;
  readonly pairs: number;
  readonly seconds: number;
}

const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const range = ({ median, min, max }: Spread): string => `${figure(median)} (${figure(min)}-${figure(max)})`;

/** A table in Markdown: medians with minimum and maximum; the ratio is the median of the ratios of each pair. */
export function tableOf(rows: readonly Row[], circumstances: Circumstances): string {
  const alone = circumstances.theirs === null;
  const head = alone ? ["row", "unit", "ours"] : ["row", "unit", "ours", "theirs", "ours / theirs", "better is"];
  const body = rows.map((row) => {
    const ours = [row.name, row.unit, range(spreadOf(row.ours))];
    const ratio = ratioOf(row);
    if (ratio === null) return ours;
    return [...ours, range(spreadOf(row.theirs)), range(ratio), row.higherIsBetter ? "higher" : "lower"];
  });
  const widths = head.map((title, column) => Math.max(title.length, ...body.map((cells) => cells[column].length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}

export function jsonOf(rows: readonly Row[], circumstances: Circumstances): string {
  return `${JSON.stringify({ ...circumstances, rows }, null, 2)}\n`;
}
