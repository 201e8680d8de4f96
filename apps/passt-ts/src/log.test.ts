import { expect, test } from "bun:test";
import { join } from "node:path";
import { filteredLog, type LogLevel } from "./log.ts";

test("a log passes on what is at least as important as its threshold", () => {
  const levels: readonly LogLevel[] = ["error", "warning", "info", "debug"];
  for (const [rank, threshold] of levels.entries()) {
    const lines: string[] = [];
    const log = filteredLog(threshold, (level, text) => void lines.push(`${level} ${text}`));
    for (const level of levels) log(level, "x");
    expect(lines).toEqual(levels.slice(0, rank + 1).map((level) => `${level} x`));
  }
});

test("lines go to standard error, errors and warnings by name, and a reader that went away does not end the program", () => {
  const script = `
    import { logToStderr } from ${JSON.stringify(join(import.meta.dir, "log.ts"))};
    for (const level of ["error", "warning", "info", "debug"]) logToStderr(level, "text");
    process.stdout.write("done");`;
  const run = Bun.spawnSync([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
  expect(run.stderr.toString()).toBe("error: text\nwarning: text\ntext\ntext\n");
  const closed = Bun.spawnSync(["sh", "-c", 'exec "$0" -e "$1" 2>&-', process.execPath, script], { stdout: "pipe" });
  expect([closed.exitCode, closed.stdout.toString()]).toEqual([0, "done"]);
});
