import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readStarter } from "./identity.ts";
import { runToEnd, sharedFolder } from "./testing/daemon.ts";
import type { TapReport } from "./testing/tap-daemons.ts";

const { uid, inFirstUserNamespace } = readStarter();
const isRoot: boolean = uid === 0 && inFirstUserNamespace;

describe("a daemon on a tap", () => {
  let report: TapReport;

  beforeAll(async () => {
    // The interfaces live in a network namespace that goes with the process in it.
    const script = join(import.meta.dir, "testing/tap-daemons.ts");
    const run = Bun.spawn(["unshare", isRoot ? "-n" : "-Urn", "--", process.execPath, script], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [said, complained] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    if ((await run.exited) !== 0 || said === "") throw new Error(`in a network namespace of its own:\n${complained}`);
    report = JSON.parse(said);
  }, 60_000);

  test("--backend tap:NAME: frames go to and from the interface, opened before the change of user", () => {
    expect(report.carried.slice(0, 2)).toEqual([100, 200]);
    expect(report.uid).toBe(isRoot ? 65534 : 0);
  });

  test("its statistics are those of the tap", () => {
    const groups = report.counted.map((group) => group.split(" ")[0]);
    expect(groups).toEqual(["device", "net", "tap"]);
    expect(report.counted.at(-1)).toMatch(/ txBytes=\d+ .*rxFrames=2 rxBytes=400\b/);
  });

  test("an interface that is deleted is used again when one is there that it may open; why it may not is said", () => {
    expect(report.carried.slice(2)).toEqual([100, 200]);
    expect(report.reopened).toEqual([
      "tap0 was deleted: frames are dropped until it is there again",
      ...(isRoot
        ? [
            "tap0 is there again and cannot be opened: no right to use or make tap0; root can: ip tuntap add dev tap0 mode tap user USER",
          ]
        : []),
      "tap0 is there again",
    ]);
  });

  test("the guest is told the interface's MTU, or that of -m, or none where the interface is out of sight", () => {
    expect(report.mtus).toEqual([1400, 9000, 0]);
  });

  test("--backend tap:fd=N: the descriptor goes on to the background under its number", () => {
    expect(report.inherited).toEqual([0, 100, 200]);
  });

  test("an interface that is new goes with the daemon", () => {
    expect(report.made).toEqual([true, false]);
  });
});

test.each([
  [["--backend", "socketsfoo"], 'back-end "socketsfoo"'],
  [["--backend", "vmnet:en0"], "vmnet is not on Linux"],
  [["--backend", "tap:tap0", "-t", "22"], "-t: not with --backend tap:tap0"],
  [["--backend", "tap:fd=7"], "descriptor 7 is not an open tap"],
  [["-f", "--backend", "tap:lo"], 'back-end "tap:lo"'],
])("%p: one line, exit code 1, nothing left behind", (args, named) => {
  const folder = sharedFolder();
  const { exitCode, stdout, stderr } = runToEnd(["-s", join(folder, "socket"), ...args]);
  expect([exitCode, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^--backend: [^\n]+\n$|^-t: [^\n]+\n$/);
  expect(stderr).toContain(named);
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});
