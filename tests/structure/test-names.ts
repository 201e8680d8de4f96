// Finds the tests of a file by their names, without running it.

import { readSource } from "./source.ts";

/** Where the name of a test stands: first argument of test(), or of test.each(table)(), or `name` in the rows of a suite. */
const nameForms = /(?<![.\w$])(?:test\s*\(|test\.each\b|name:)/g;

/** Whether `text`, the source of a test file, has a test of this name that is neither skipped nor still to be written. */
export function hasTest(text: string, name: string): boolean {
  const { codeOnly } = readSource(text);
  for (const match of codeOnly.matchAll(nameForms)) {
    let at = match.index + match[0].length;
    if (match[0] === "test.each") at = codeOnly.indexOf("(", behindBrackets(codeOnly, at)) + 1;
    const literal = literalAt(text, at);
    if (literal !== null && patternOf(literal).test(name)) return true;
  }
  return false;
}

/** Behind the brackets that open next. */
function behindBrackets(code: string, at: number): number {
  let depth = 0;
  for (let i = at; i < code.length; i++) {
    if (code[i] === "(") depth++;
    else if (code[i] === ")" && --depth === 0) return i + 1;
  }
  return code.length;
}

/** The string or template that begins at `at`, behind white space, with its quotes; null when there is none. */
function literalAt(text: string, at: number): string | null {
  const literal = /\s*(?<literal>(["'`])(?:\\.|(?!\2)[^\\])*\2)/y;
  literal.lastIndex = at;
  return literal.exec(text)?.groups?.literal ?? null;
}

/** Matches what the literal can become: `${}` of a template and %p of a table stand for any text, but not for all of it. */
function patternOf(literal: string): RegExp {
  const isTemplate = literal.startsWith("`");
  const fixed = literal.slice(1, -1).split(isTemplate ? /\$\{(?:"[^"]*"|[^}"])*\}/ : /%[psdifj]/);
  if (!fixed.some((part) => /[a-z]/i.test(part))) return /(?!)/;
  const escaped = fixed.map((part) => part.replaceAll(/\\(.)/g, "$1").replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".+")}$`, "s");
}
