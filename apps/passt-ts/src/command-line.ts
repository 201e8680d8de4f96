import { parseArgs } from "node:util";
import { OPTIONS, type OptionName, type OptionRow } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

/** Options that end the reading of the command line where they stand: what follows does not count. */
const FINAL: readonly OptionName[] = ["help", "version", "print-capabilities"];

/** One option as it was given; an option without argument has an empty value. */
interface GivenOption {
  readonly name: OptionName;
  readonly value: string;
}

/** The options as given, in their order. */
export class CommandLine {
  readonly #given: readonly GivenOption[];

  constructor(given: readonly GivenOption[]) {
    this.#given = given;
  }

  has(name: OptionName): boolean {
    return this.#given.some((option) => option.name === name);
  }

  /** All values of an option. */
  all(name: OptionName): readonly string[] {
    return this.#given.filter((option) => option.name === name).map((option) => option.value);
  }

  /** The last value of an option: the one that counts where only one can. */
  last(name: OptionName): string | undefined {
    return this.all(name).at(-1);
  }

  /** Which of options that contradict each other was given last: the one that counts. */
  lastOf(...names: readonly OptionName[]): OptionName | undefined {
    return this.#given.findLast((option) => names.includes(option.name))?.name;
  }
}

/**
 * Reads the arguments by the option table, as getopt_long(3) does: long names may be shortened as long as they stay
 * unambiguous. @throws UsageError with the whole line to show.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const given: GivenOption[] = [];
  for (const token of tokensOf(completeNames(args))) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw new UsageError(`'${token.value}' is not an option`);
    const row = OPTIONS.find(({ name, alias }) => name === token.name || alias === token.name);
    if (row === undefined) throw new UsageError(`unknown option '${token.rawName}'`);
    given.push({ name: row.name, value: argumentOf(row, token) });
    if (FINAL.includes(row.name)) break;
  }
  return new CommandLine(given);
}

function argumentOf(row: OptionRow, token: Token): string {
  if (row.refused !== undefined) throw new UsageError(`${token.rawName}: ${row.refused}`);
  if (row.argument === undefined && token.value !== undefined)
    throw new UsageError(`${token.rawName}: takes no argument`);
  if (row.argument !== undefined && token.value === undefined)
    throw new UsageError(`${token.rawName}: ${row.argument} is missing`);
  return token.value ?? "";
}

interface Token {
  readonly kind: "option" | "positional" | "option-terminator";
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
}

function tokensOf(args: readonly string[]): readonly Token[] {
  const options = Object.fromEntries(
    OPTIONS.flatMap((row) => {
      const type = row.argument === undefined ? ("boolean" as const) : ("string" as const);
      const main = { type, ...(row.short === undefined ? {} : { short: row.short }) };
      return row.alias === undefined
        ? [[row.name, main]]
        : [
            [row.name, main],
            [row.alias, { type }],
          ];
    }),
  );
  // The platform's strict mode refuses values that begin with a dash, and reads on behind --help.
  const { tokens } = parseArgs({ args: [...args], options, tokens: true, strict: false, allowPositionals: true });
  return tokens as unknown as readonly Token[];
}

const LONG_NAMES: readonly string[] = OPTIONS.flatMap(({ name, alias }) =>
  alias === undefined ? [name] : [name, alias],
);

/** Writes shortened long names out. */
function completeNames(args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  return args.map((argument, index) => {
    const [, name, rest = ""] = /^--([^=]+)(=.*)?$/s.exec(argument) ?? [];
    if (name === undefined || (end >= 0 && index > end) || LONG_NAMES.includes(name)) return argument;
    const candidates = LONG_NAMES.filter((candidate) => candidate.startsWith(name));
    if (candidates.length === 0) return argument;
    if (candidates.length > 1) {
      throw new UsageError(`'--${name}' is short for any of ${candidates.map((one) => `--${one}`).join(", ")}`);
    }
    return `--${candidates[0]}${rest}`;
  });
}
