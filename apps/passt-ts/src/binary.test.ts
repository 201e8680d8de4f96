import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import manifest from "../package.json" with { type: "json" };
import { readStarter } from "./identity.ts";
import { ARP_LINK, ARP_REPLY, askForGateway } from "./testing/arp-exchange.ts";
import { sharedFolder } from "./testing/daemon.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const { uid, inFirstUserNamespace } = readStarter();
const isRoot: boolean = uid === 0 && inFirstUserNamespace;

let folder = "";
let binary = "";

beforeAll(() => {
  const build = Bun.spawnSync([process.execPath, "run", "build:bin"], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  if (build.exitCode !== 0) throw new Error(build.stderr.toString());
  folder = sharedFolder();
  binary = join(folder, "passt-ts");
  copyFileSync(join(ROOT, "dist/passt-ts"), binary);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the binary where there is nothing else of ours: no sources, no Bun, no variables, no path. */
function alone(args: readonly string[]): string[] {
  const script = `mount -t tmpfs tmpfs "${ROOT}" && cd / && exec env -i "$0" "$@"`;
  return ["unshare", isRoot ? "-m" : "-Urm", "sh", "-c", script, binary, ...args];
}

const run = (args: readonly string[]) => Bun.spawnSync(alone(args), { stdout: "pipe", stderr: "pipe" });

describe("the binary, where there is neither Bun nor source", () => {
  test("says its version, help and capabilities, and refuses with one line", () => {
    expect(run(["--version"]).stdout.toString()).toBe(`passt-ts ${manifest.version}\n`);
    expect(run(["--help"]).stdout.toString()).toStartWith("Usage: passt-ts [OPTION]...\n");
    expect(JSON.parse(run(["--print-capabilities"]).stdout.toString())).toEqual({ type: "net" });
    const refused = run(["--nonsense"]);
    expect([refused.exitCode, refused.stderr.toString()]).toEqual([1, "unknown option '--nonsense'\n"]);
  });

  test("starts its second thread from inside itself, in the foreground", async () => {
    const [ours, theirs] = createSocketPair();
    const child = Bun.spawn(alone(["-f", "-F", "3", ...ARP_LINK]), { stdio: ["ignore", "ignore", "pipe", theirs.fd] });
    theirs.close();
    const frontEnd = new TestFrontEnd().connect(ours).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    frontEnd[Symbol.dispose]();
    expect(await child.exited).toBe(0);
  });

  test("starts itself again for the background", async () => {
    const [socket, pidPath] = [join(folder, "socket"), join(folder, "pid")];
    const started = run(["-q", "-s", socket, "-P", pidPath, ...ARP_LINK]);
    expect([started.exitCode, started.stdout.toString()]).toEqual([0, ""]);
    const pid = Number(readFileSync(pidPath, "utf8"));
    try {
      if (isRoot) expect(readlinkSync(`/proc/${pid}/exe`)).toBe(binary);
      using frontEnd = new TestFrontEnd().connect(socket).boot();
      expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    } finally {
      process.kill(pid, "SIGTERM");
    }
    for (let i = 0; i < 1000 && existsSync(socket); i++) await Bun.sleep(5);
    expect(existsSync(socket)).toBe(false);
  });
});
