// `bun run build:bin` makes one file; the guest tests pass with it as they do with the sources.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Program, runToEnd } from "../guests/process.ts";

const root = resolve(import.meta.dir, "../..");
const timeoutMs = 290_000;
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "binary-guests-"));
  runToEnd([process.execPath, "run", "--cwd", root, "build:bin"]);
  copyFileSync(join(root, "dist/passt-ts"), join(folder, "passt-ts"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(["connectivity", "streams", "three-guests", "ipxe", "fragments", "tap", "netdev-passt"])(
  "the binary passes tests/guests/%s",
  async (name) => {
    const env = { PASST_DAEMON: join(folder, "passt-ts"), PASST_TS_STREAM_BYTES: String(8 << 20) };
    const command = [process.execPath, "test", `guests/${name}.test.ts`];
    const runner = new Program(command, { cwd: join(root, "tests"), env });
    try {
      if ((await runner.waitForExit(timeoutMs)) !== 0) throw new Error(runner.output);
    } finally {
      await runner.kill();
    }
    expect(Number(/(\d+) pass/.exec(runner.output)?.[1])).toBeGreaterThan(0);
    expect(runner.output).toContain(" 0 fail");
  },
  timeoutMs + 10_000,
);
