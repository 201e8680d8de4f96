import { expect, test } from "bun:test";
import { join } from "node:path";
import type { ChangesReport } from "./testing/changes-in-namespace.ts";

test("a change of links, addresses or routes is told, one of another routing table is not", () => {
  const flags = process.getuid?.() === 0 ? "-n" : "-Urn";
  const script = join(import.meta.dir, "testing/changes-in-namespace.ts");
  const run = Bun.spawnSync(["unshare", flags, process.execPath, script], { stdout: "pipe", stderr: "pipe" });
  if (run.exitCode !== 0) throw new Error(`${run.stderr.toString()}${run.stdout.toString()}`);
  const report = JSON.parse(run.stdout.toString()) as ChangesReport;
  expect(report).toEqual({
    nothing: false,
    link: true,
    address: true,
    defaultRoute: true,
    otherTable: false,
    routeGone: true,
    addressGone: true,
    flood: true,
    afterwards: false,
  });
});
