import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { EchoReport } from "./testing/echo-in-namespace.ts";

/** Runs the pings in a network namespace of their own: what ping sockets may do is a setting of the namespace. */
function pingIn(pingSockets: "allow" | "deny"): EchoReport {
  const flags = process.getuid?.() === 0 ? "-n" : "-Urn";
  const script = join(import.meta.dir, "testing/echo-in-namespace.ts");
  const run = Bun.spawnSync(["unshare", flags, process.execPath, script, pingSockets], { stderr: "pipe" });
  if (run.exitCode !== 0) throw new Error(`pings in a namespace: ${run.stderr.toString()}${run.stdout.toString()}`);
  return JSON.parse(run.stdout.toString()) as EchoReport;
}

describe("pings", () => {
  let allowed: EchoReport;
  let denied: EchoReport;
  beforeAll(() => {
    allowed = pingIn("allow");
    denied = pingIn("deny");
  });

  test.each(["ipv4", "ipv6"] as const)(
    "of the guest to the host's loopback are answered, identifier and data its own: %s",
    (family) => {
      expect(allowed[family]).toEqual({
        type: family === "ipv4" ? 0 : 129,
        identifier: 77,
        sequence: 5,
        intact: true,
        checksumsRight: true,
        fromPeer: true,
      });
    },
  );

  test("unlike passt: of two guests with one identifier are each answered to their own guest", () => {
    expect(allowed.twoGuests).toEqual([1, 2]);
  });

  test("leave no socket behind once their time is up, or the guest is another one", () => {
    expect(allowed.flowsOpened).toBe(3);
    expect([allowed.flowsAfterSilence, allowed.flowsAfterReset, allowed.leakedFiles]).toEqual([0, 0, 0]);
  });

  test("are dropped and counted where the host allows no ping sockets, with one warning that says what to do", () => {
    expect([denied.ipv4, denied.ipv6]).toEqual([null, null]);
    expect(denied.notPermitted).toBe(4);
    expect(denied.warnings.length).toBe(1);
    expect(denied.warnings[0]).toContain("net.ipv4.ping_group_range");
    expect(denied.leakedFiles).toBe(0);
  });
});
