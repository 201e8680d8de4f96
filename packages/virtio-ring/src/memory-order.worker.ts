import { parentPort, workerData } from "node:worker_threads";
import { IovPool } from "@passt-ts/iov/iov";
import { Elements } from "./elements.ts";
import { packedFormat, splitFormat } from "./ring-format.ts";
import { guestParts } from "./testing/guest-ring.ts";
import { Meeting } from "./testing/meeting.ts";
import {
  byteChain,
  deviceOn,
  driverOn,
  MEMORY_ORDER_RING,
  raceAsDevice,
  spinUntilAvailable,
  spinUntilPopped,
  spinUntilUsed,
  streamAsDevice,
} from "./testing/memory-order.ts";

// The other thread of memory-order.test.ts.

/** What this thread is to do; both memories are shared. */
export interface Job {
  readonly kind: "watchAvailable" | "popAvailable" | "watchUsed" | "race" | "stream";
  readonly packed: boolean;
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly eventIndex: boolean;
  /** Of a race, or chains of a stream. */
  readonly rounds: number;
}

function run({ kind, packed, buffer, words, eventIndex, rounds }: Job): boolean {
  const guest = guestParts(packed ? packedFormat : splitFormat, { ...MEMORY_ORDER_RING, buffer });
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
  if (kind === "stream") return streamAsDevice(device, guest, rounds);
  if (kind === "popAvailable") spinUntilPopped(device, new Elements(1), new IovPool(guest.windows, 1));
  else spinUntilAvailable(device);
  return device.brokenReason === 0;
}

parentPort?.postMessage(run(workerData as Job));
