import { OPTION_SECTIONS, type OptionRow, optionForms } from "./option-table.ts";

/** Columns of the help: where descriptions begin, and where they end. */
const DESCRIPTION_COLUMN = 32;
const FORM_COLUMN = 38;
const WIDTH = 80;

/** What -t and -u take, in lines. */
export const SPEC_FORMS: readonly (readonly [form: string, meaning: string])[] = [
  ["none", "no ports; only as the first argument of its kind"],
  ["[ADDR][%INTERFACE]/PORTS", "listen at this address, or on this interface only"],
  ["PORTS", "listen at all addresses of both families"],
];

/** What PORTS is a list of, separated by commas. */
export const PORT_FORMS: readonly (readonly [form: string, meaning: string])[] = [
  ["FIRST[-LAST]", "to the same ports of the guest"],
  ["FIRST[-LAST]:TO[-TOLAST]", "to other ports of the guest, as many"],
  ["FIRST[-LAST]:TOADDR[/TO[-TOLAST]]", "to another address behind the guest; needs ADDR, of the same family"],
  ["~FIRST[-LAST]", "left out; a list of these only means all others"],
  ["all[:TOADDR]", "every port that the kernel gives to no outgoing connection; those that are taken are passed over"],
];

/** The text of --help. */
export function helpText(program: string): string {
  const sections = OPTION_SECTIONS.map(({ title, rows }) => `${title}:\n${rows.map(rowText).join("")}`);
  const forms = (list: typeof SPEC_FORMS) => list.map(([form, text]) => entry(`  ${form}`, text, FORM_COLUMN)).join("");
  return [
    `Usage: ${program} [OPTION]...\n`,
    "A network for a virtual machine, over vhost-user, without privileges.\n",
    ...sections,
    `SPEC is one of\n${forms(SPEC_FORMS)}`,
    `PORTS is a list, separated by commas, of\n${forms(PORT_FORMS)}`,
  ].join("\n");
}

function rowText(row: OptionRow): string {
  const text = `${row.help}${row.repeatable === true ? " (may be repeated)" : ""}`;
  return entry(`  ${row.short === undefined ? "    " : ""}${optionForms(row)}`, text, DESCRIPTION_COLUMN);
}

/** What something is called, and from `column` on what it means. */
function entry(name: string, text: string, column: number): string {
  const indent = " ".repeat(column);
  const head = name.length + 2 > column ? `${name}\n${indent}` : name.padEnd(column);
  return `${head}${wrap(text, WIDTH - column).join(`\n${indent}`)}\n`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
