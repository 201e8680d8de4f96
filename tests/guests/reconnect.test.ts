// The daemon is killed under a guest that lives on, and started again: QEMU connects again and hands the rings over as they are.
// The connections of before are gone with their sockets; what is new works, and the driver sees none of its descriptors twice.

import { expect, test } from "bun:test";
import { Daemon } from "./daemon.ts";
import { complaintsIn, type Machine } from "./driver-rows.ts";
import type { Guest } from "./guest.ts";
import { findKernel } from "./image.ts";
import { gateway4 } from "./namespace.ts";
import { newestQemu } from "./newest-qemu.ts";
import { echoPort, sinkPort, sourcePort } from "./ports.ts";
import { vhostUserNetwork } from "./qemu.ts";
import { TestBed } from "./test-bed.ts";
import { transfer } from "./transfer.ts";

/** What QEMU waits between two attempts to connect, as older ones are told it and as newer ones are. */
const reconnectMs = 1000;
const inSeconds = `reconnect=${reconnectMs / 1000}`;
const inMilliseconds = `reconnect-ms=${reconnectMs}`;
const outageMaxMs = 3000 + reconnectMs;
const timeoutMs = 30_000;
const endlessBytes = 2 ** 36;
/** What a Linux driver says of a device that returned a descriptor twice, or never. */
const driverComplaints = "is not a head|out of range|WATCHDOG|WARNING|BUG";

/** Waits until a ping of the guest is answered, which it tells its console. Returns how long it took, in milliseconds. */
async function untilPinged(guest: Guest): Promise<number> {
  const startedMs = performance.now();
  await guest.program.waitFor(/\d+ bytes from/, timeoutMs, guest.program.output.length);
  return performance.now() - startedMs;
}

/** Streams both ways until they are broken, once both flow. */
async function startStreams(guest: Guest): Promise<void> {
  const counter = (name: string): string => `$(cat /sys/class/net/eth0/statistics/${name}_bytes)`;
  await guest.must(`
    traffic receive ${gateway4} ${sourcePort} 1 ${endlessBytes} >/dev/null 2>&1 &
    traffic send ${gateway4} ${sinkPort} 2 ${endlessBytes} >/dev/null 2>&1 &
    rx=${counter("rx")} tx=${counter("tx")}
    for i in $(seq 100); do
      [ $((${counter("rx")} - rx)) -gt 5000000 ] && [ $((${counter("tx")} - tx)) -gt 5000000 ] && exit 0
      sleep 0.1
    done
    exit 1`);
}

/**
 * Kills the daemon and starts it again at its socket, while the guest goes on. Returns the new one, and how long it took the guest,
 * pinging ten times a second, to get an answer, in milliseconds from when the new one was to be started.
 */
async function replace(daemon: Daemon, start: () => Promise<Daemon>, guest: Guest): Promise<[Daemon, number]> {
  process.kill(daemon.program.pid, "SIGKILL");
  expect(await daemon.program.waitForExit(timeoutMs)).toBe(137);
  await guest.must(`ping -i 0.1 ${gateway4} >/dev/console 2>&1 & echo $! >/tmp/ping`);
  // Longer than QEMU needs to see it, and to try in vain.
  await Bun.sleep(1500);
  const [next, outageMs] = await Promise.all([start(), untilPinged(guest)]);
  await guest.must("kill $(cat /tmp/ping); wait");
  return [next, outageMs];
}

function debian(): Machine {
  const kernel = findKernel("qemu-debian");
  if ("missing" in kernel) throw new Error(kernel.missing);
  return { kernel };
}

interface Row {
  readonly rings: string;
  /** Options of the card. */
  readonly card: string;
  readonly machine: () => Machine;
  /** The option by which its QEMU connects again. */
  readonly reconnect: string;
  readonly kills: readonly ("idle" | "in the middle of streams")[];
}

const rows: readonly Row[] = [
  { rings: "split", card: "", machine: debian, reconnect: inSeconds, kills: ["idle", "in the middle of streams"] },
  {
    rings: "packed",
    card: ",packed=on",
    machine: debian,
    reconnect: inSeconds,
    kills: ["idle", "in the middle of streams"],
  },
  {
    rings: "packed, with chains of several descriptors",
    card: ",packed=on,indirect_desc=off",
    machine: debian,
    reconnect: inSeconds,
    kills: ["in the middle of streams", "in the middle of streams"],
  },
  // IN_ORDER is younger than Debian's QEMU.
  {
    rings: "packed and in order, in the newest QEMU",
    card: ",packed=on,in_order=on,indirect_desc=off",
    machine: newestQemu,
    reconnect: inMilliseconds,
    kills: ["in the middle of streams"],
  },
];

for (const { rings, card, machine, reconnect, kills } of rows) {
  test(`${rings}: a daemon that was killed, ${kills.join(" and ")}, and started again serves on within ${outageMaxMs} ms`, async () => {
    const { kernel, ...qemu } = machine();
    await using bed = await TestBed.create();
    const daemons: Daemon[] = [];
    const start = async (): Promise<Daemon> => {
      const daemon = await Daemon.start(bed.host, bed.folder, ["-d", "--offload", "all,packed,in-order"]);
      daemons.push(daemon);
      return daemon;
    };
    try {
      let daemon = await start();
      const network = vhostUserNetwork(daemon.socket, `,${reconnect}`);
      const guest = await bed.boot(kernel, daemon, { ...qemu, network, card });
      const outagesMs: number[] = [];
      for (const kill of kills) {
        if (kill !== "idle") await startStreams(guest);
        const [next, outageMs] = await replace(daemon, start, guest);
        daemon = next;
        outagesMs.push(outageMs);
        await guest.must("killall traffic; true");
        for (const direction of ["to the host", "to the guest"] as const) {
          const what = { direction, address: gateway4, connections: 2, totalBytes: 4 * 2 ** 20 };
          await transfer(guest, { ...what, timeoutMs: 60_000 });
        }
        expect(await guest.must(`traffic ask udp ${gateway4} ${echoPort} 9000 10`)).toBe("answered 10");
      }
      console.log(`${rings}: pinged ${outagesMs.map(Math.round).join(", ")} ms after each start`);
      expect(Math.max(...outagesMs)).toBeLessThan(outageMaxMs);
      expect(await guest.run(`dmesg | grep -E '${driverComplaints}'`)).toEqual({ status: 1, output: "" });
      expect(await guest.receiveErrors()).toEqual({});
      await guest.powerOff();
      expect(await daemon.stop()).toBe(0);
      expect(daemons.flatMap(({ log }) => complaintsIn(log))).toEqual([]);
    } finally {
      for (const daemon of daemons) await daemon.program.kill();
    }
  }, 400_000);
}
