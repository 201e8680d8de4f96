import { expect, test } from "bun:test";
import { join } from "node:path";
import type { NoRouteReport } from "./testing/no-route.ts";

test("without a route the guest is told at once by ICMP, of datagrams and connections, and nothing is left behind", () => {
  const flags = process.getuid?.() === 0 ? "-n" : "-Urn";
  const script = join(import.meta.dir, "testing/no-route.ts");
  const run = Bun.spawnSync(["unshare", flags, process.execPath, script], { stdout: "pipe", stderr: "pipe" });
  if (run.exitCode !== 0) throw new Error(`${run.stderr.toString()}${run.stdout.toString()}`);
  const report = JSON.parse(run.stdout.toString()) as NoRouteReport;
  // Network unreachable (RFC 792), no route to destination (RFC 4443).
  const errors = [
    [3, 0],
    [1, 0],
  ];
  expect([report.udpErrors, report.tcpErrors]).toEqual([errors, errors]);
  expect(report).toMatchObject({ flows: 0, leakedFiles: 0, leakedRegistrations: 0 });
});
