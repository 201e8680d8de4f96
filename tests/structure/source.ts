// Reads TypeScript source just well enough for the rules: what is code, what is a comment or a string, and what is imported.

/** A source text with comments blanked, and with comments, strings and regular expressions blanked. Offsets and lines are kept. */
export interface Source {
  readonly withoutComments: string;
  readonly codeOnly: string;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

const blank = (text: string): string => text.replace(/[^\n]/g, " ");

// In this order: comments, strings, regular expressions (only where an expression may start), template pieces.
const token =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<=(?:^|[=(,:[!&|?{};]|\breturn|=>)\s*)(?<regex>\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*)|(?<open>`|\{)|(?<close>\})/gm;

/** Splits code from comments and strings. Code inside `${}` of a template counts as code. */
export function readSource(text: string): Source {
  let withoutComments = "";
  let codeOnly = "";
  let at = 0;
  // One entry for each open brace: true where it is the `${` of a template, whose text goes on after its brace.
  const braces: boolean[] = [];
  const keep = (part: string): void => {
    withoutComments += part;
    codeOnly += part;
  };
  const templateText = (from: number): number => {
    let end = from;
    while (end < text.length && text[end] !== "`" && !(text[end] === "$" && text[end + 1] === "{")) {
      end += text[end] === "\\" ? 2 : 1;
    }
    const opens = text[end] === "$";
    if (opens) braces.push(true);
    const after = end + (opens ? 2 : 1);
    withoutComments += text.slice(from, after);
    codeOnly += blank(text.slice(from, after));
    return after;
  };
  while (at < text.length) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) break;
    keep(text.slice(at, match.index));
    const found = match[0];
    at = match.index + found.length;
    if (match.groups?.comment !== undefined) keep(blank(found));
    else if (match.groups?.open === "`") {
      keep(" ");
      at = templateText(at);
    } else if (found === "{") {
      braces.push(false);
      keep(found);
    } else if (found === "}") {
      const template = braces.pop() === true;
      keep(template ? " " : found);
      if (template) at = templateText(at);
    } else {
      withoutComments += found;
      codeOnly += blank(found);
    }
  }
  keep(text.slice(at));
  return { withoutComments, codeOnly };
}

/** 1-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = 0; i < offset; i++) if (text.charCodeAt(i) === 10) line++;
  return line;
}

const importForms =
  /(?:\b(?:import|export)\b[^;"'`]*?\bfrom\s*|\bimport\s*\(\s*|\bimport\s+|\brequire\s*\(\s*|\bnew\s+URL\s*\(\s*)(["'])([^"'\n]+)\1/g;

/** Everything a file imports or re-exports, types included; also Worker URLs. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  for (const match of source.withoutComments.matchAll(importForms)) {
    // The keyword must be code: the same words inside a string or template are none of ours.
    if (source.codeOnly[match.index] === " ") continue;
    found.push({ specifier: match[2], line: lineAt(source.withoutComments, match.index) });
  }
  return found;
}

/** Offsets of matches of `pattern` in the code that stand outside every bracket: statements at file scope. */
export function atFileScope(source: Source, pattern: RegExp): number[] {
  const code = source.codeOnly;
  const depthAt = new Int32Array(code.length + 1);
  let depth = 0;
  for (let i = 0; i < code.length; i++) {
    depthAt[i] = depth;
    const c = code[i];
    if (c === "{" || c === "(" || c === "[") depth++;
    else if (c === "}" || c === ")" || c === "]") depth--;
  }
  return [...code.matchAll(pattern)].filter((match) => depthAt[match.index] === 0).map((match) => match.index);
}
