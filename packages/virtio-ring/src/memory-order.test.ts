import { expect, test } from "bun:test";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { IovPool } from "@passt-ts/iov/iov";
import { Elements } from "./elements.ts";
import type { Job } from "./memory-order.worker.ts";
import { packedFormat, type RingFormat, splitFormat } from "./ring-format.ts";
import { type GuestParts, guestParts, guestRingBytes } from "./testing/guest-ring.ts";
import { MEETING_WORDS, Meeting } from "./testing/meeting.ts";
import {
  byteChain,
  deviceOn,
  driverOn,
  MEMORY_ORDER_RING,
  raceAsDriver,
  streamAsDriver,
} from "./testing/memory-order.ts";

// Two threads, one ring in a SharedArrayBuffer. With plain loads and stores in place of Atomics in the queues, the
// compiler moves loads out of loops and the processor moves loads before stores: each of these tests then fails.

/** Long enough for the compiler to have optimised a loop. */
const WARM_UP_MS = 300;

/** How long the second thread may take before it counts as stuck; nothing but a failure takes so long. */
const STUCK_MS = 15_000;

/** Rounds of two races each. With plain accesses some 10 to 300 wake-ups get lost in as many. */
const ROUNDS = 25_000;

/** Chains of a stream. */
const CHAINS = 200_000;

const { size, dataBytes } = MEMORY_ORDER_RING;

interface Pair {
  readonly meeting: Meeting;
  /** What the second thread came to; "stuck" when it came to nothing. */
  readonly outcome: Promise<boolean | "stuck">;
}

function makeRing(format: RingFormat): [SharedArrayBuffer, GuestParts] {
  const buffer = new SharedArrayBuffer(guestRingBytes(size, format) + dataBytes);
  return [buffer, guestParts(format, { ...MEMORY_ORDER_RING, buffer })];
}

/** Starts the second thread and waits until it runs. */
async function start(
  kind: Job["kind"],
  format: RingFormat,
  eventIndex: boolean,
  buffer: SharedArrayBuffer,
): Promise<Pair> {
  const words = new Int32Array(new SharedArrayBuffer(4 * MEETING_WORDS));
  const rounds = kind === "stream" ? CHAINS : ROUNDS;
  const workerData: Job = { kind, packed: format === packedFormat, buffer, words, eventIndex, rounds };
  const worker = new Worker(new URL("./memory-order.worker.ts", import.meta.url), { workerData });
  const message = once(worker, "message").then(([value]) => value as boolean);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stuck = new Promise<"stuck">((resolve) => {
    timer = setTimeout(resolve, STUCK_MS, "stuck");
  });
  const outcome = Promise.race([message, stuck]).finally(() => {
    clearTimeout(timer);
    return worker.terminate();
  });
  const meeting = new Meeting(words, 0);
  while (!meeting.started) await Bun.sleep(1);
  return { meeting, outcome };
}

for (const format of [splitFormat, packedFormat]) {
  for (const kind of ["watchAvailable", "popAvailable"] as const) {
    test(
      `${format.name}: a device that spins sees what the driver publishes: ${kind}`,
      async () => {
        const [buffer, guest] = makeRing(format);
        const driver = driverOn(guest, false);
        const { outcome } = await start(kind, format, false, buffer);
        await Bun.sleep(WARM_UP_MS);
        driver.add(byteChain(guest));
        driver.publish();
        expect(await outcome).toBe(true);
      },
      2 * STUCK_MS,
    );
  }

  test(
    `${format.name}: a driver that spins sees what the device publishes`,
    async () => {
      const [buffer, guest] = makeRing(format);
      const { outcome } = await start("watchUsed", format, false, buffer);
      const device = deviceOn(guest, false);
      const elements = new Elements(1);
      await Bun.sleep(WARM_UP_MS);
      expect(device.pop(elements, new IovPool(guest.windows, 1))).toBe(0);
      device.push(elements.head[0], 0);
      device.publish();
      expect(await outcome).toBe(true);
    },
    2 * STUCK_MS,
  );

  test(
    `${format.name}: neither side sees a chain before what belongs to it`,
    async () => {
      const [buffer, guest] = makeRing(format);
      const driver = driverOn(guest, false);
      const { outcome } = await start("stream", format, false, buffer);
      expect(streamAsDriver(driver, guest, CHAINS)).toBe(CHAINS);
      expect(driver.brokenReason).toBe(0);
      expect(await outcome).toBe(true);
    },
    2 * STUCK_MS,
  );

  for (const eventIndex of [false, true]) {
    test(
      `${format.name}: neither side sleeps through news, with ${eventIndex ? "event indexes" : "flags"}`,
      async () => {
        const [buffer, guest] = makeRing(format);
        const driver = driverOn(guest, eventIndex);
        const { meeting, outcome } = await start("race", format, eventIndex, buffer);
        const lost = raceAsDriver(driver, byteChain(guest), meeting, ROUNDS);
        expect(await outcome).toBe(true);
        expect(lost).toEqual({ kicks: 0, notifications: 0 });
      },
      2 * STUCK_MS,
    );
  }
}
