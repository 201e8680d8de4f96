import type { CommandLine } from "./command-line.ts";
import type { OptionName } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

/** The bounds of a number, and what it is when it is not given. */
export interface NumberBounds {
  readonly otherwise: number;
  readonly min: number;
  readonly max: number;
}

const SPACE = "[ \\t\\n\\v\\f\\r]*";
const DECIMAL = new RegExp(`^${SPACE}\\+?\\d{1,15}$`);
const ANY_BASE = new RegExp(`^${SPACE}\\+?(0x[0-9a-f]{1,12}|0[0-7]{0,15}|[1-9]\\d{0,14})$`, "i");

/** The whole number that a text is, or NaN; in decimal, with what strtoul(3) takes before it. */
export function parseDecimal(text: string): number {
  return DECIMAL.test(text) ? Number(text) : Number.NaN;
}

/** The same, also in hexadecimal after 0x and in octal after 0. */
export function parseNumber(text: string): number {
  const digits = ANY_BASE.exec(text)?.[1] ?? "";
  if (digits === "") return Number.NaN;
  const isOctal = /^0\d/.test(digits);
  return isOctal ? Number.parseInt(digits, 8) : Number(digits);
}

/** The whole number that an option was given. @throws UsageError when it is none or out of its bounds. */
export function numberOption(line: CommandLine, name: OptionName, bounds: NumberBounds): number {
  const text = line.last(name);
  if (text === undefined) return bounds.otherwise;
  const value = parseNumber(text);
  if (!(value >= bounds.min && value <= bounds.max))
    throw new UsageError(`--${name}: '${text}' is not a number from ${bounds.min} to ${bounds.max}`);
  return value;
}
