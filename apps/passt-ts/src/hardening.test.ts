import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { ARP_LINK } from "./testing/arp-exchange.ts";
import { Daemon } from "./testing/daemon.ts";

/** Runs a command without any capability, as whoever we are: root of whatever kind would see everything. */
const PLAIN: readonly string[] = process.geteuid?.() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
const STAYS: readonly string[] = ["--runas", String(process.geteuid?.() ?? 0)];

/** Whether a process of the same user, which may do nothing special, sees the memory and the variables of another one. */
function isOpen(pid: number): boolean {
  const { exitCode } = Bun.spawnSync([...PLAIN, "cat", `/proc/${pid}/environ`], { stdout: "ignore", stderr: "ignore" });
  return exitCode === 0;
}

/** NoNewPrivs of the threads that run the program's own code. */
function noNewPrivileges(pid: number): string[] {
  const tasks = readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/status`, "utf8"));
  const ours = tasks.filter((status) => new RegExp(`^(Pid:\\t${pid}|Name:\\tWorker)$`, "m").test(status));
  return ours.map((status) => /^NoNewPrivs:\t(.*)$/m.exec(status)?.[1] ?? "unknown");
}

test("no set-uid program would gain anything for it, whether it changes its user or not", async () => {
  await using daemon = await new Daemon(ARP_LINK).ready();
  expect(noNewPrivileges(daemon.pid)).toEqual(["1", "1"]);
  await using plain = await new Daemon([...ARP_LINK, ...STAYS], null, PLAIN).ready();
  expect(noNewPrivileges(plain.pid)).toEqual(["1", "1"]);
});

test("others of its user cannot look into its memory, nor trace it", async () => {
  await using daemon = await new Daemon([...ARP_LINK, ...STAYS], null, PLAIN).ready();
  await using other = Bun.spawn([...PLAIN, "sleep", "60"]);
  for (let i = 0; i < 200 && !isOpen(other.pid); i++) await Bun.sleep(5);
  expect([isOpen(daemon.pid), isOpen(other.pid)]).toEqual([false, true]);
});
