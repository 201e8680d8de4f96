import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "../descriptor-chain.ts";
import { PopResult } from "../device-queue.ts";
import { Elements } from "../elements.ts";
import { RingFault } from "../ring-fault.ts";
import { SplitDeviceQueue } from "../split-device-queue.ts";
import { SplitDriverQueue } from "../split-driver-queue.ts";
import type { GuestRing } from "./guest-ring.ts";
import type { Meeting } from "./meeting.ts";

// Two threads, each with views of its own of one ring. Whatever memory they share (a SharedArrayBuffer, a file mapped
// twice) and however the second thread is started is the caller's business.

/** Ring sizes and data bytes that the functions here count on. */
export const MEMORY_ORDER_RING = { size: 8, dataBytes: 64 } as const;

/** Makes the device's queue on a ring at its beginning. */
export function deviceOn(guest: GuestRing, eventIndex: boolean): SplitDeviceQueue {
  return new SplitDeviceQueue({ ring: guest.ring, memory: guest.memory, eventIndex, indirect: false, startIndex: 0 });
}

/** Makes the driver's queue, and with it a fresh ring. */
export function driverOn(guest: GuestRing, eventIndex: boolean): SplitDriverQueue {
  return new SplitDriverQueue({ ring: guest.ring, eventIndex, indirectTables: null, startIndex: 0 });
}

/** A chain of one byte. */
export function byteChain(guest: GuestRing): DescriptorChain {
  return new DescriptorChain(1).readable(guest.dataAddress, 1);
}

// Nothing but the queue's own code stands in these two loops, and they are functions of their own, so that the compiler
// may do to them whatever the queue's code allows. A counter of turns would help the queue: when it passes 2^31 the
// optimised loop is left, and everything is loaded again.

/** Spins until the driver in another thread has published a chain: for ever, when the queue does not see it. */
export function spinUntilAvailable(queue: SplitDeviceQueue): void {
  while (queue.pending() === 0);
}

/** Spins until the device in another thread has published a used chain. */
export function spinUntilUsed(queue: SplitDriverQueue): void {
  while (queue.reap() === PopResult.empty);
}

/** What {@link raceAsDriver} counts: the other side slept through news, and nobody woke it. */
export interface LostWakeUps {
  kicks: number;
  notifications: number;
}

// Two races a round. The driver publishes and asks whether the device sleeps, while the device says that it goes to
// sleep and looks once more; then the device publishes and asks whether the driver sleeps, while that goes to sleep.
// Whoever goes to sleep must see the news or be woken: a load that passes the store before it loses the wake-up.

/** Runs `rounds` rounds as the driver, on a ring that {@link driverOn} made before the device began. */
export function raceAsDriver(
  driver: SplitDriverQueue,
  chain: DescriptorChain,
  meeting: Meeting,
  rounds: number,
): LostWakeUps {
  const lost: LostWakeUps = { kicks: 0, notifications: 0 };
  for (let round = 0; round < rounds; round++) {
    driver.suppressNotifications();
    driver.add(chain);
    meeting.meet((round >> 4) & 15);
    driver.publish();
    const kicked = driver.needsKick();
    meeting.meet(0);
    if (!kicked && !meeting.answered) lost.kicks++;
    meeting.meet((round >> 4) & 15);
    const seen = driver.allowNotifications();
    meeting.meet(0);
    if (!seen && !meeting.answered) lost.notifications++;
    if (driver.reap() < 0) break;
  }
  meeting.leave();
  return lost;
}

/** Runs `rounds` rounds as the device; true when each brought a chain. */
export function raceAsDevice(queue: SplitDeviceQueue, guest: GuestRing, meeting: Meeting, rounds: number): boolean {
  const pool = new IovPool(guest.windows, 1);
  const elements = new Elements(1);
  let round = 0;
  for (; round < rounds; round++) {
    queue.suppressKicks();
    meeting.meet(round & 15);
    meeting.answer(queue.allowKicks());
    meeting.meet(0);
    pool.truncate(0);
    elements.clear();
    if (queue.pop(elements, pool) !== 0) break;
    queue.push(elements.head[0], 1);
    meeting.meet(round & 15);
    queue.publish();
    meeting.answer(queue.needsNotification());
    meeting.meet(0);
  }
  meeting.leave();
  return round === rounds && queue.brokenReason === RingFault.none;
}
