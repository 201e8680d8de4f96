import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manualPage } from "./manual-page.ts";
import { OPTIONS } from "./option-table.ts";

const PATH = join(import.meta.dir, "../man/passt-ts.1");

test("the manual page in the repository is the one that the table of options makes: else `bun run man`", () => {
  expect(readFileSync(PATH, "utf8")).toBe(manualPage());
});

const man = Bun.which("man");

test.skipIf(man === null)("man reads it without a warning, and it shows every option", () => {
  if (man === null) throw new Error("no man");
  const run = Bun.spawnSync([man, "--warnings", "-E", "UTF-8", "-l", PATH], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, MANWIDTH: "100", LC_ALL: "C.UTF-8", MANPAGER: "cat", PAGER: "cat" },
  });
  expect([run.exitCode, run.stderr.toString()]).toEqual([0, ""]);
  const text = run.stdout.toString();
  for (const { name, short } of OPTIONS) {
    expect(text).toContain(`${short === undefined ? "" : `-${short}, `}--${name}`);
  }
});
