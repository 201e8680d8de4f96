import { parentPort, workerData } from "node:worker_threads";
import { guestRing } from "./testing/guest-ring.ts";
import { Meeting } from "./testing/meeting.ts";
import {
  byteChain,
  deviceOn,
  driverOn,
  MEMORY_ORDER_RING,
  raceAsDevice,
  spinUntilAvailable,
  spinUntilUsed,
} from "./testing/memory-order.ts";

// The other thread of memory-order.test.ts.

/** What this thread is to do; both memories are shared. */
export interface Job {
  readonly kind: "watchAvailable" | "watchUsed" | "race";
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly eventIndex: boolean;
  readonly rounds: number;
}

function run({ kind, buffer, words, eventIndex, rounds }: Job): boolean {
  const guest = guestRing({ ...MEMORY_ORDER_RING, buffer });
  const meeting = new Meeting(words, 1);
  if (kind === "watchUsed") {
    const driver = driverOn(guest, eventIndex);
    driver.add(byteChain(guest));
    driver.publish();
    meeting.start();
    spinUntilUsed(driver);
    return driver.brokenReason === 0;
  }
  const device = deviceOn(guest, eventIndex);
  meeting.start();
  if (kind === "race") return raceAsDevice(device, guest, meeting, rounds);
  spinUntilAvailable(device);
  return device.brokenReason === 0;
}

parentPort?.postMessage(run(workerData as Job));
