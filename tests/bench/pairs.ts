// Figures of two programs taken in turns, so that what else the machine does falls on both.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/** Samples of one figure, one for each turn and program. */
export interface Samples {
  readonly ours: readonly number[];
  /** Empty when there was nothing to compare with. */
  readonly theirs: readonly number[];
}

/** The ratio ours to theirs of each pair of turns; null when there was nothing to compare with. */
export function ratioOf({ ours, theirs }: Samples): Spread | null {
  return theirs.length === 0 ? null : spreadOf(ours.map((value, turn) => value / theirs[turn]));
}
