// Compares what two programs did with the same command lines.

import type { Found } from "../compare.ts";
import { commandLinesName } from "./record-lines.ts";
import type { TriedLine } from "./tried-line.ts";

/** Every line of which came something else; `frame` is the line. @throws Error when the lines are not the same. */
export function compareLines(reference: readonly TriedLine[], ours: readonly TriedLine[]): Found[] {
  const textOf = (lines: readonly TriedLine[]): string => lines.map(({ line }) => line).join("\n");
  if (textOf(reference) !== textOf(ours))
    throw new Error("the command lines have changed since they were recorded: record them anew");
  return ours.flatMap((tried, index): Found[] => {
    const [theirs, own] = [outcomeOf(reference[index]), outcomeOf(tried)];
    if (theirs === own) return [];
    return [{ script: commandLinesName, frame: tried.line, field: "outcome", reference: theirs, ours: own }];
  });
}

/** What came of a line, without the words: "serves, warns", "ends with 1, says why" ... */
export function outcomeOf({ started, exitCode, writesOutput, says }: TriedLine): string {
  if (started && exitCode === 0) return says.length > 0 ? "serves, warns" : "serves";
  const end = started ? `serves, then ends with ${exitCode}` : `ends with ${exitCode}`;
  return `${end}${writesOutput ? ", writes" : ""}${says.length > 0 ? ", says why" : ""}`;
}
