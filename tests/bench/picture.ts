// The ratios of a run as a picture: a bar for each row, its spread as a line, and where both are equal.

import { ratioOf } from "./pairs.ts";
import type { Circumstances, Row } from "./report.ts";

const rowHeight = 22;
const labelWidth = 360;
const barWidth = 420;
const valueWidth = 150;
const headHeight = 62;
const footHeight = 46;
/** Ratios beyond are cut off; the number beside the bar says them. */
const ratioMax = 4;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const at = (ratio: number): number => labelWidth + (Math.min(ratio, ratioMax) / ratioMax) * barWidth;
const short = (ratio: number): string => ratio.toFixed(2);

interface Bar {
  readonly label: string;
  /** How many times better ours is: above 1 is good for us, whatever the row counts. */
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function barOf(row: Row): Bar | null {
  const ratio = ratioOf(row);
  if (ratio === null) return null;
  const label = `${row.name} (${row.unit})`;
  if (row.higherIsBetter) return { label, ...ratio };
  return { label, median: 1 / ratio.median, min: 1 / ratio.max, max: 1 / ratio.min };
}

function drawBar(bar: Bar, index: number): string {
  const top = headHeight + index * rowHeight;
  const middle = top + rowHeight / 2;
  const color = bar.median >= 1 ? "#2e7d5b" : "#b5563b";
  return `  <text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end">${escaped(bar.label)}</text>
  <rect x="${labelWidth}" y="${top + 4}" width="${(at(bar.median) - labelWidth).toFixed(1)}" height="${rowHeight - 8}" fill="${color}"/>
  <line x1="${at(bar.min).toFixed(1)}" y1="${middle}" x2="${at(bar.max).toFixed(1)}" y2="${middle}" stroke="#222"/>
  <text x="${labelWidth + barWidth + 8}" y="${middle + 4}">${short(bar.median)} (${short(bar.min)}-${short(bar.max)})</text>
`;
}

/** An SVG picture of a run with pairs; null when ours was measured alone. */
export function pictureOf(rows: readonly Row[], circumstances: Circumstances): string | null {
  const bars = rows.map(barOf).filter((bar) => bar !== null);
  if (bars.length === 0) return null;
  const width = labelWidth + barWidth + valueWidth;
  const chartBottom = headHeight + bars.length * rowHeight;
  const { ours, theirs, processor, processors, kernel, congestionControl, placement } = circumstances;
  const { date, pairs, seconds } = circumstances;
  const host = `${processors} x ${processor}, Linux ${kernel} with ${congestionControl}, streams and latencies placed ${placement}`;
  const foot = `${host}, ${date}; medians of ${pairs} pairs of ${seconds} s, lines from lowest to highest`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${chartBottom + footHeight}" font-family="sans-serif" font-size="12">
  <title>${escaped(`How many times better than ${theirs}`)}</title>
  <rect width="100%" height="100%" fill="#fff"/>
  <text x="12" y="24" font-size="15">${escaped(`How many times better than ${theirs}`)}</text>
  <text x="12" y="44" fill="#555">${escaped(`${ours}; above 1 ours is faster, or needs less`)}</text>
${bars.map(drawBar).join("")}  <line x1="${at(1)}" y1="${headHeight}" x2="${at(1)}" y2="${chartBottom}" stroke="#222" stroke-dasharray="3 3"/>
  <text x="${at(1)}" y="${chartBottom + 15}" text-anchor="middle">1</text>
  <text x="12" y="${chartBottom + 36}" fill="#555">${escaped(foot)}</text>
</svg>
`;
}
