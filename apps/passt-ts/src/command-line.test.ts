import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCommandLine } from "./command-line.ts";
import { helpText, OPTIONS } from "./option-table.ts";

describe("the command line", () => {
  test("long and short names, joined and separate values", () => {
    const line = parseCommandLine(["--vhost-user", "-s", "/tmp/a", "--mtu=1500", "-t22", "-t", "80", "-f1"]);
    expect(line.last("socket")).toBe("/tmp/a");
    expect(line.last("mtu")).toBe("1500");
    expect(line.all("tcp-ports")).toEqual(["22", "80"]);
    expect(line.has("foreground") && line.has("one-off") && line.has("vhost-user")).toBe(true);
    expect(line.has("debug")).toBe(false);
  });

  test("of -4 and -6 the last one counts", () => {
    expect(parseCommandLine([]).onlyFamily).toBe(0);
    expect(parseCommandLine(["-4", "-6"]).onlyFamily).toBe(6);
    expect(parseCommandLine(["-6", "-4"]).onlyFamily).toBe(4);
  });

  test.each([[["--nonsense"]], [["-Z"]], [["--mtu"]], [["extra"]], [["--foreground=yes"]]])(
    "%p is refused with one line",
    (args) => {
      expect(() => parseCommandLine(args)).toThrow(/^[^\n]+$/);
    },
  );

  test("--help names every option", () => {
    const text = helpText("passt-ts");
    for (const row of OPTIONS) expect(text).toContain(`--${row.name}`);
  });

  test("so does the README, short forms included", () => {
    const text = readFileSync(join(import.meta.dir, "../README.md"), "utf8");
    for (const { name, short } of OPTIONS) {
      expect(text).toMatch(new RegExp(`\\| ${short === undefined ? "" : `\`-${short}\`, `}\`--${name}|\`--${name}\` `));
    }
  });
});
