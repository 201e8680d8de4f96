// The memory-order tests of virtio-ring once more, over memory as a guest shares it: one memory file, mapped twice, a thread on each
// mapping. The two threads see the ring at different addresses, as a daemon and a virtual machine do.

import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type MappedMemory, mapFile } from "@passt-ts/linux/mapped-memory";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { type GuestRing, guestRing, guestRingBytes } from "@passt-ts/virtio-ring/testing/guest-ring";
import { MEETING_WORDS, Meeting } from "@passt-ts/virtio-ring/testing/meeting";
import { byteChain, driverOn, MEMORY_ORDER_RING, raceAsDriver } from "@passt-ts/virtio-ring/testing/memory-order";
import type { Job } from "./memory-order.worker.ts";

/** Long enough for the compiler to have optimised the other thread's loop. */
const warmUpMs = 300;
/** How long the second thread may take before it counts as stuck; nothing but a failure takes so long. */
const stuckMs = 15_000;
const rounds = 25_000;
const lengthBytes = guestRingBytes(MEMORY_ORDER_RING.size) + MEMORY_ORDER_RING.dataBytes;

let held: [OwnedFd, MappedMemory][] = [];
afterEach(() => {
  for (const [file, mapping] of held) {
    mapping.close();
    file.close();
  }
  held = [];
});

function makeRing(): [fd: number, guest: GuestRing] {
  const file = createMemoryFile("memory-order", lengthBytes);
  const mapping = mapFile({ fd: file.fd, offset: 0, lengthBytes });
  held.push([file, mapping]);
  return [file.fd, guestRing({ ...MEMORY_ORDER_RING, buffer: mapping.bytes(0, lengthBytes).buffer })];
}

/** Starts the second thread, waits until it runs, and promises what it comes to; "stuck" when it comes to nothing. */
async function start(
  kind: Job["kind"],
  fd: number,
  eventIndex: boolean,
): Promise<{ meeting: Meeting; outcome: Promise<boolean | "stuck"> }> {
  const words = new Int32Array(new SharedArrayBuffer(4 * MEETING_WORDS));
  const workerData: Job = { kind, fd, lengthBytes, words, eventIndex, rounds };
  const worker = new Worker(new URL("./memory-order.worker.ts", import.meta.url), { workerData });
  const message = once(worker, "message").then(([value]) => value as boolean);
  const outcome = Promise.race([message, Bun.sleep(stuckMs).then(() => "stuck" as const)]).finally(() =>
    worker.terminate(),
  );
  const meeting = new Meeting(words, 0);
  while (!meeting.started) await Bun.sleep(1);
  return { meeting, outcome };
}

test(
  "a device that spins over its own mapping sees what the driver publishes",
  async () => {
    const [fd, guest] = makeRing();
    const driver = driverOn(guest, false);
    const { outcome } = await start("watchAvailable", fd, false);
    await Bun.sleep(warmUpMs);
    driver.add(byteChain(guest));
    driver.publish();
    expect(await outcome).toBe(true);
  },
  2 * stuckMs,
);

for (const eventIndex of [false, true]) {
  test(
    `neither mapping's side sleeps through news, with ${eventIndex ? "event indexes" : "flags"}`,
    async () => {
      const [fd, guest] = makeRing();
      const driver = driverOn(guest, eventIndex);
      const { meeting, outcome } = await start("race", fd, eventIndex);
      const lost = raceAsDriver(driver, byteChain(guest), meeting, rounds);
      expect(await outcome).toBe(true);
      expect(lost).toEqual({ kicks: 0, notifications: 0 });
    },
    2 * stuckMs,
  );
}
