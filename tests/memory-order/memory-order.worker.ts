import { parentPort, workerData } from "node:worker_threads";
import { mapFile } from "@passt-ts/linux/mapped-memory";
import { guestRing } from "@passt-ts/virtio-ring/testing/guest-ring";
import { Meeting } from "@passt-ts/virtio-ring/testing/meeting";
import {
  deviceOn,
  MEMORY_ORDER_RING,
  raceAsDevice,
  spinUntilAvailable,
} from "@passt-ts/virtio-ring/testing/memory-order";

// The other thread of memory-order.test.ts: the device, over a mapping of its own.

/** What this thread is to do; the file and the words are shared. */
export interface Job {
  readonly kind: "watchAvailable" | "race";
  readonly fd: number;
  readonly lengthBytes: number;
  readonly words: Int32Array;
  readonly eventIndex: boolean;
  readonly rounds: number;
}

function run({ kind, fd, lengthBytes, words, eventIndex, rounds }: Job): boolean {
  using mapping = mapFile({ fd, offset: 0, lengthBytes });
  const guest = guestRing({ ...MEMORY_ORDER_RING, buffer: mapping.bytes(0, lengthBytes).buffer });
  const meeting = new Meeting(words, 1);
  const device = deviceOn(guest, eventIndex);
  meeting.start();
  if (kind === "race") return raceAsDevice(device, guest, meeting, rounds);
  spinUntilAvailable(device);
  return device.brokenReason === 0;
}

parentPort?.postMessage(run(workerData as Job));
