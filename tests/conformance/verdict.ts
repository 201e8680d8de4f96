// Holds the differences that were found against the list of those that are known.

import type { Found } from "./compare.ts";
import type { Difference } from "./difference.ts";

export interface Verdict {
  /** Differences that no line lists. */
  readonly unlisted: readonly Found[];
  /** Lines that no difference needs. */
  readonly unneeded: readonly Difference[];
}

/** `lines` are those of the suites that were played. */
export function judge(found: readonly Found[], lines: readonly Difference[]): Verdict {
  const needed = new Set<Difference>();
  const unlisted = found.filter((difference) => {
    const line = lines.find((candidate) => lists(candidate, difference));
    if (line !== undefined) needed.add(line);
    return line === undefined;
  });
  return { unlisted, unneeded: lines.filter((line) => !needed.has(line)) };
}

function lists(line: Difference, found: Found): boolean {
  return (
    matches(line.script, found.script) &&
    matches(line.frame, found.frame) &&
    line.field === found.field &&
    has(line.ours, found.ours) &&
    has(line.reference, found.reference)
  );
}

const has = (expected: string | RegExp | undefined, value: string): boolean =>
  expected instanceof RegExp ? expected.test(value) : expected === undefined || expected === value;

/** Stars of the pattern stand for any text. */
function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(text);
}

/** How many frames ours sends in a step: those of the reference, but for what the list says is absent or extra, each frame once. */
export function expectedFrames(script: string, step: string, recorded: number, lines: readonly Difference[]): number {
  const about = lines.filter((line) => matches(line.script, script) && matches(line.frame.replace(/#\d+$/, ""), step));
  const frames = (field: string): number =>
    new Set(about.filter((line) => line.field === field).map(({ frame }) => frame)).size;
  return recorded - frames("absent") + frames("extra");
}

/** A difference as the test prints it: ready to be judged by a reader, and then to be listed. */
export function foundText({ script, frame, field, reference, ours }: Found): string {
  return `${script} | ${frame} | ${field}\n    reference: ${reference}\n    ours:      ${ours}`;
}
