// Three guests one after the other on one daemon, the second killed in the middle of a transfer: nothing of a guest is left behind.

import { expect, test } from "bun:test";
import type { Daemon, ProcessCounts } from "./daemon.ts";
import type { Guest } from "./guest.ts";
import { findKernel, type KernelName } from "./image.ts";
import { gateway4 } from "./namespace.ts";
import { sinkPort, sourcePort } from "./ports.ts";
import { TestBed } from "./test-bed.ts";
import { transfer } from "./transfer.ts";

const kernelName = (process.env.PASST_TS_KERNEL ?? "uml-debian") as KernelName;
const totalBytes = 16 * 2 ** 20;
const endlessBytes = 2 ** 36;

async function useNetwork(guest: Guest): Promise<void> {
  for (const direction of ["to the host", "to the guest"] as const) {
    await transfer(guest, { direction, address: gateway4, connections: 8, totalBytes, timeoutMs: 60_000 });
  }
  await guest.must(`traffic ask udp ${gateway4} 7007 1000 10`);
}

/** Counts once the daemon has taken note that its guest is gone: they stand still for a second. */
async function settled(daemon: Daemon): Promise<ProcessCounts> {
  let counts = daemon.counts();
  for (let quiet = 0, tries = 0; quiet < 10 && tries < 100; tries++) {
    await Bun.sleep(100);
    const now = daemon.counts();
    quiet = Bun.deepEquals(now, counts) ? quiet + 1 : 0;
    counts = now;
  }
  return counts;
}

test("after three guests, one of them killed, the daemon holds what it held after the first", async () => {
  const kernel = findKernel(kernelName);
  if ("missing" in kernel) throw new Error(kernel.missing);
  await using bed = await TestBed.create();
  const daemon = await bed.startDaemon(["-d"]);

  const first = await bed.boot(kernel, daemon);
  await useNetwork(first);
  await first.powerOff();
  const afterFirst = await settled(daemon);

  const second = await bed.boot(kernel, daemon);
  await second.must(`
    traffic receive ${gateway4} ${sourcePort} 1 ${endlessBytes} >/dev/null &
    traffic send ${gateway4} ${sinkPort} 2 ${endlessBytes} >/dev/null &
    for i in $(seq 100); do
      [ $(cat /sys/class/net/eth0/statistics/rx_bytes) -gt 10000000 ] && [ $(cat /sys/class/net/eth0/statistics/tx_bytes) -gt 10000000 ] && exit 0
      sleep 0.1
    done
    exit 1`);
  await second.kill();

  const third = await bed.boot(kernel, daemon);
  expect(daemon.counts()).not.toEqual(afterFirst);
  await useNetwork(third);
  expect(await third.receiveErrors()).toEqual({});
  await third.powerOff();
  expect(await settled(daemon)).toEqual(afterFirst);
  // The daemon writes its last statistics before it closes what is left.
  expect(await daemon.stop()).toBe(0);
  expect(daemon.counters().flowsLeft).toBe(0);
}, 240_000);
