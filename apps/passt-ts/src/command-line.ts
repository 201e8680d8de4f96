import { parseArgs } from "node:util";
import { OPTIONS, type OptionName } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

/** The options as given: the values of each, in their order; an option without argument has one empty value. */
export class CommandLine {
  readonly #given: ReadonlyMap<string, readonly string[]>;
  /** The family of the last of -4 and -6, or 0: both. */
  readonly onlyFamily: 0 | 4 | 6;

  constructor(given: ReadonlyMap<string, readonly string[]>, onlyFamily: 0 | 4 | 6) {
    this.#given = given;
    this.onlyFamily = onlyFamily;
  }

  has(name: OptionName): boolean {
    return this.#given.has(name);
  }

  /** All values of an option. */
  all(name: OptionName): readonly string[] {
    return this.#given.get(name) ?? [];
  }

  /** The last value of an option: the one that counts where only one can. */
  last(name: OptionName): string | undefined {
    return this.#given.get(name)?.at(-1);
  }
}

/** Reads the arguments by the option table. @throws UsageError with the whole line to show. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const options = Object.fromEntries(
    OPTIONS.map((row) => [
      row.name,
      {
        type: row.argument === undefined ? ("boolean" as const) : ("string" as const),
        multiple: true as const,
        ...(row.short === undefined ? {} : { short: row.short }),
      },
    ]),
  );
  const given = new Map<string, string[]>();
  let onlyFamily: 0 | 4 | 6 = 0;
  for (const token of tokensOf(args, options)) {
    if (token.kind !== "option") continue;
    const values = given.get(token.name) ?? [];
    values.push(token.value ?? "");
    given.set(token.name, values);
    if (token.name === "ipv4-only") onlyFamily = 4;
    if (token.name === "ipv6-only") onlyFamily = 6;
  }
  return new CommandLine(given, onlyFamily);
}

type ParserOptions = Record<string, { type: "boolean" | "string"; multiple: true; short?: string }>;
type OptionToken = { kind: string; name: string; value: string | undefined };

function tokensOf(args: readonly string[], options: ParserOptions): readonly OptionToken[] {
  try {
    const { tokens } = parseArgs({ args: [...args], options, tokens: true, strict: true, allowPositionals: false });
    return tokens as unknown as readonly OptionToken[];
  } catch (error) {
    // The platform's message goes on, over several lines, about how to quote: its first sentence says what is wrong.
    const message = error instanceof Error ? error.message : String(error);
    throw new UsageError(message.split("\n")[0].replace(/\. (To specify|This command).*$/, ""));
  }
}
