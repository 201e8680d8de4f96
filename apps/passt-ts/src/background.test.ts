import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ARP_LINK } from "./testing/arp-exchange.ts";
import { MAIN, sharedFolder } from "./testing/daemon.ts";

let folder = "";
beforeEach(() => {
  folder = sharedFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (condition()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Starts the program for the background with a capture that nobody reads: the second process waits, with its socket open. */
async function startWaiting(): Promise<{ first: Bun.Subprocess<"ignore", "ignore", "pipe">; second: number }> {
  const [pipe, pid] = [join(folder, "pipe"), join(folder, "pid")];
  expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
  chmodSync(pipe, 0o666);
  const args = [...ARP_LINK, "-s", join(folder, "socket"), "-p", pipe, "-P", pid];
  const first = Bun.spawn([process.execPath, MAIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  await until(() => existsSync(pid), "what is opened before the capture");
  expect(existsSync(join(folder, "socket"))).toBe(true);
  return { first, second: childOf(first.pid) };
}

/** Any of the program's threads may have started it. */
function childOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const children = readdirSync(tasks).flatMap((id) => readFileSync(`${tasks}/${id}/children`, "utf8").split(" "));
  return Number(children.find((id) => id !== ""));
}

/** A process that has ended may wait for somebody to take note of it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test.each(["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"] as const)(
  "%s to the first process before the second is ready ends both, and leaves no socket",
  async (signal) => {
    const { first, second } = await startWaiting();
    first.kill(signal);
    await first.exited;
    expect([first.signalCode, isAlive(second)]).toEqual([signal, false]);
    expect(readdirSync(folder).sort()).toEqual(["pid", "pipe"]);
    expect(await new Response(first.stderr).text()).toBe("");
  },
);

test("the second process ends when the first one is gone before it was ready, and leaves no socket", async () => {
  const { first, second } = await startWaiting();
  first.kill("SIGKILL");
  await until(() => !isAlive(second), "the end of the second process");
  expect(readdirSync(folder).sort()).toEqual(["pid", "pipe"]);
  expect(await new Response(first.stderr).text()).toBe("error: who started this for the background has gone\n");
});
