import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { DescriptorReport } from "./testing/few-descriptors.ts";

describe("out of file descriptors", () => {
  let report: DescriptorReport;
  // The limit is the whole process's, so a process of its own runs out of them.
  beforeAll(() => {
    const script = join(import.meta.dir, "testing/few-descriptors.ts");
    const limited = ["sh", "-c", 'ulimit -n 96; exec "$0" "$@"', process.execPath, script];
    const run = Bun.spawnSync(limited, { stderr: "pipe" });
    if (run.exitCode !== 0) throw new Error(`${run.stderr.toString()}${run.stdout.toString()}`);
    report = JSON.parse(run.stdout.toString()) as DescriptorReport;
  });

  test("a datagram that would need a new socket is dropped and counted", () => {
    expect(report.udpFlows).toBeGreaterThan(10);
    expect(report.udpDropped).toBe(report.udpSent - report.udpFlows);
    expect(report.udpDropped).toBeGreaterThan(0);
  });

  test("a connection of the guest is refused with RST and counted", () => {
    expect(report.tcpResets).toBe(1);
    expect(report.tcpConnectFailed).toBe(1);
  });

  test("a forwarded connection waits; the listener rests instead of spinning", () => {
    expect(report.outOfDescriptors).toBeGreaterThan(0);
    expect(report.outOfDescriptors).toBeLessThan(25);
    expect(report.acceptedWhileOut).toBe(0);
  });

  test("flows that have their socket go on", () => {
    expect(report.oldFlowAnswered).toBe(true);
  });

  test("when descriptors are free again everything is served, the connection that waited too", () => {
    expect(report.acceptedAfterwards).toBe(1);
    expect(report.newFlowAnswered).toBe(true);
  });
});
