// The command line of record.ts.

import { parseArgs } from "node:util";
import { runToEnd } from "../guests/process.ts";

const usage = "usage: bun run conformance:record -- --passt PATH [SUITE]...";

export interface RecordArguments {
  readonly passt: string;
  /** The first line that it says to --version. */
  readonly version: string;
  /** The suites that were asked for; all of them when none was named. */
  readonly names: readonly string[];
}

/** @returns one line about what is wrong when the line cannot be followed: nothing has been done then. */
export function recordArguments(line: readonly string[], suiteNames: readonly string[]): RecordArguments | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...line],
      options: { passt: { type: "string" } },
      allowPositionals: true,
    });
    const { passt } = values;
    if (passt === undefined) return usage;
    const unknown = positionals.find((name) => !suiteNames.includes(name));
    if (unknown !== undefined) return `no suite ${unknown}; there are ${suiteNames.join(", ")}`;
    const [version] = runToEnd([passt, "--version"]).split("\n");
    return { passt, version, names: positionals.length === 0 ? suiteNames : positionals };
  } catch (error) {
    return (error as Error).message.split("\n")[0];
  }
}
