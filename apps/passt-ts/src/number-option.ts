import type { CommandLine } from "./command-line.ts";
import type { OptionName } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

/** The bounds of a number, and what it is when it is not given. */
export interface NumberBounds {
  readonly otherwise: number;
  readonly min: number;
  readonly max: number;
}

/** The whole number that an option was given. @throws UsageError when it is none or out of its bounds. */
export function numberOption(line: CommandLine, name: OptionName, bounds: NumberBounds): number {
  const text = line.last(name);
  if (text === undefined) return bounds.otherwise;
  const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= bounds.min && value <= bounds.max))
    throw new UsageError(`--${name}: '${text}' is not a number from ${bounds.min} to ${bounds.max}`);
  return value;
}
