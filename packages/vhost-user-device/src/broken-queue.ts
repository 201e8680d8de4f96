import { describeNetFault } from "@passt-ts/virtio-net/net-fault";
import { type DeviceQueue, PopResult } from "@passt-ts/virtio-ring/device-queue";
import { DeviceCounter } from "./device-counter.ts";
import type { RepeatedLines } from "./repeated-lines.ts";
import type { Vring } from "./vring.ts";

/** What takes the place of a broken queue when its memory is made anew and nobody has reset it: it touches no ring. */
export class BrokenQueue implements DeviceQueue {
  readonly size: number;
  readonly brokenReason: number;
  readonly nextAvailable: number;
  readonly heldDescriptors: number = 0;

  /** @param successor where the ring would go on. @param brokenReason of the broken queue, not 0. */
  constructor(successor: DeviceQueue, brokenReason: number) {
    this.size = successor.size;
    this.nextAvailable = successor.nextAvailable;
    this.brokenReason = brokenReason;
  }

  pending(): number {
    return 0;
  }

  pop(): number {
    return PopResult.broken;
  }

  unpop(): void {}

  push(): void {}

  publish(): void {}

  needsNotification(): boolean {
    return false;
  }

  isNotificationUnheard(): boolean {
    return false;
  }

  suppressKicks(): void {}

  allowKicks(): boolean {
    return false;
  }
}

/**
 * Reports a ring that is broken, in the log and to the front-end: once, and again to a front-end that had no room for it.
 *
 * @param reason a number of `RingFault` or `NetFault`; 0: it is not broken.
 * @param counters indices: DeviceCounter.
 */
export function reportBroken(ring: Vring, reason: number, counters: Float64Array, lines: RepeatedLines): void {
  if (ring.errorDue) ring.callError();
  if (reason === 0 || ring.brokenReported) return;
  ring.brokenReported = true;
  const name = ring.index === 0 ? "receive" : "transmit";
  counters[DeviceCounter.queuesBroken]++;
  const count = counters[DeviceCounter.queuesBroken];
  const text = `${name} ring broken until it is reset: ${describeNetFault(reason)} (${count} so far)`;
  lines.write("broken rings", "error", text);
  ring.callError();
}
