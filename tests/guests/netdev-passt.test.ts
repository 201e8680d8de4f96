// `-netdev passt` of QEMU 10.1 and later with our daemon as its program: QEMU starts it, gives it a socket, waits until it is in the
// background, and it ends with QEMU.

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { daemonCommand } from "./daemon.ts";
import { complaintsIn } from "./driver-rows.ts";
import type { Guest } from "./guest.ts";
import { gateway4, type HostNamespace, host4 } from "./namespace.ts";
import { newestQemu } from "./newest-qemu.ts";
import { echoPort } from "./ports.ts";
import { qemuCommand } from "./qemu.ts";
import { TestBed } from "./test-bed.ts";
import { transfer } from "./transfer.ts";

const mtu = 9000;
const guestPort = 2222;
const endMs = 5000;

/** What QEMU has started, and the network device that does it. */
interface Launch {
  readonly network: readonly string[];
  /** The daemon's arguments as QEMU gave them. */
  readonly given: () => string;
  readonly log: () => string;
}

/** A program for QEMU's option `path`, which takes no arguments there. */
function prepareLaunch(bed: TestBed): Launch {
  const [program, given, log] = ["daemon", "given", "log"].map((name) => join(bed.folder, name));
  const command = daemonCommand().map((word) => `'${word}'`);
  const script = [
    "#!/bin/sh",
    `printf '%s' "$*" >'${given}'`,
    `exec ${command.join(" ")} "$@" --log-file '${log}'`,
    "",
  ];
  writeFileSync(program, script.join("\n"), { mode: 0o755 });
  return {
    network: ["-netdev", `passt,id=net,vhost-user=on,path=${program},mtu=${mtu},tcp-ports=${guestPort}`],
    given: () => readFileSync(given, "utf8"),
    log: () => readFileSync(log, "utf8"),
  };
}

/** Runs `body`, waits until what it has started in the namespace is gone by itself, and ends by force what is not. Returns that. */
async function leftBy(host: HostNamespace, body: () => Promise<void>): Promise<number[]> {
  const before = host.processes();
  const left = (): number[] => host.processes().filter((id) => !before.includes(id));
  try {
    await body();
    for (const endAtMs = performance.now() + endMs; left().length > 0 && performance.now() < endAtMs; )
      await Bun.sleep(20);
    return left();
  } finally {
    for (const id of left()) process.kill(id, "SIGKILL");
  }
}

async function useNetwork(bed: TestBed, guest: Guest): Promise<void> {
  await guest.must(`traffic serve ${guestPort} >/dev/null 2>&1 &`);
  const lease = await guest.lease();
  expect([lease.ip, lease.mtu]).toEqual([host4, String(mtu)]);
  expect(await guest.must("cat /sys/class/net/eth0/mtu")).toBe(String(mtu));
  expect(await guest.must(`ping -c 3 -i 0.2 -W 5 ${gateway4}`)).toContain("3 packets received, 0% packet loss");
  for (const direction of ["to the host", "to the guest"] as const) {
    const what = { direction, address: gateway4, connections: 2, totalBytes: 4 * 2 ** 20 };
    await transfer(guest, { ...what, timeoutMs: 60_000 });
  }
  expect(await guest.must(`traffic ask udp ${gateway4} ${echoPort} 20000 10`)).toBe("answered 10");
  const fromHost = [bed.traffic, "ask", "tcp", "127.0.0.1", String(guestPort), "60000", "10"];
  expect(bed.host.run(fromHost)).toBe("answered 10\n");
  expect(await guest.receiveErrors()).toEqual({});
}

test("QEMU starts the daemon by -netdev passt: its guest has a network with that MTU and forward, and nothing is left when it shuts down", async () => {
  const { qemu, kernel } = newestQemu();
  await using bed = await TestBed.create();
  const { network, given, log } = prepareLaunch(bed);
  const left = await leftBy(bed.host, async () => {
    const guest = await bed.boot(kernel, { socket: "" }, { qemu, network, host: bed.host });
    expect(given()).toMatch(
      new RegExp(`^--vhost-user --quiet --mtu ${mtu} --tcp-ports ${guestPort} --pid \\S+ --fd \\d+$`),
    );
    await useNetwork(bed, guest);
    await guest.powerOff();
  });
  expect(left).toEqual([]);
  expect(complaintsIn(log())).toEqual([]);
}, 400_000);

test("a daemon that QEMU started by -netdev passt ends as well when QEMU is killed", async () => {
  const { qemu } = newestQemu();
  await using bed = await TestBed.create({ compile: false });
  const { network } = prepareLaunch(bed);
  const left = await leftBy(bed.host, async () => {
    const before = bed.host.processes().length;
    const machine = bed.start(qemuCommand({ qemu, memoryMiB: 128, network }));
    // The firmware speaks once QEMU has its network, and so the daemon.
    await machine.waitFor(/SeaBIOS/, 60_000);
    expect(bed.host.processes().length).toBe(before + 2);
    expect(await machine.kill()).toBe(137);
  });
  expect(left).toEqual([]);
}, 400_000);
