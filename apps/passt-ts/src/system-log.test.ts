import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { bindUnixDatagram, receiveUnixDatagram } from "@passt-ts/linux/unix-datagram";
import type { LogLevel } from "./log.ts";
import { SystemLog } from "./system-log.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "system-log-"));
  path = join(folder, "log");
});
afterEach(() => rmSync(folder, { recursive: true }));

const NOW = new Date(2026, 10, 3, 4, 5, 6);
const logTo = (where: string) => new SystemLog({ program: "passt-ts", pid: 42, path: where, now: () => NOW });

function received(receiver: OwnedFd): string[] {
  const bytes = new Uint8Array(4096);
  const lines: string[] = [];
  for (let length = 0; ; ) {
    length = receiveUnixDatagram(receiver.fd, bytes);
    if (length < 0) return lines;
    lines.push(new TextDecoder().decode(bytes.subarray(0, length)));
  }
}

test("a datagram for each line: facility daemon, severity, time, program and process id", () => {
  using receiver = bindUnixDatagram(path);
  const log = logTo(path);
  for (const level of ["error", "warning", "info", "debug", "trace"] as LogLevel[]) log.write(level, "text");
  log.write("info", "one\ntwo");
  expect(received(receiver)).toEqual(
    [27, 28, 30, 31, 31]
      .map((priority) => `<${priority}>Nov  3 04:05:06 passt-ts[42]: text`)
      .concat("<30>Nov  3 04:05:06 passt-ts[42]: one", "<30>Nov  3 04:05:06 passt-ts[42]: two"),
  );
  log.close();
});

test("without a system log lines are lost; one that comes up, or comes again, gets them", () => {
  const log = logTo(path);
  log.write("info", "lost");
  const first = bindUnixDatagram(path);
  log.write("info", "to the first");
  expect(received(first).length).toBe(1);
  first.close();
  rmSync(path);
  log.write("info", "lost");
  using second = bindUnixDatagram(path);
  log.write("info", "to the second");
  expect(received(second)).toEqual(["<30>Nov  3 04:05:06 passt-ts[42]: to the second"]);
  log.close();
});

test("a log that does not keep up costs lines and never waits", () => {
  using receiver = bindUnixDatagram(path);
  const log = logTo(path);
  for (let i = 0; i < 10_000; i++) log.write("info", "x".repeat(1000));
  const lines = received(receiver);
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThan(10_000);
  log.close();
});
