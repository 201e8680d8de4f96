import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "../descriptor-chain.ts";
import { type DeviceQueue, PopResult } from "../device-queue.ts";
import type { DriverQueue } from "../driver-queue.ts";
import { Elements } from "../elements.ts";
import { RingFault } from "../ring-fault.ts";
import type { GuestParts } from "./guest-ring.ts";
import type { Meeting } from "./meeting.ts";
import { makeDriverQueue } from "./queues.ts";

// Two threads, each with views of its own of one ring. Whatever memory they share (a SharedArrayBuffer, a file mapped
// twice) and however the second thread is started is the caller's business.

/** Ring sizes and data bytes that the functions here count on. */
export const MEMORY_ORDER_RING = { size: 8, dataBytes: 64 } as const;

/** Makes the device's queue on a ring at its beginning. */
export function deviceOn(guest: GuestParts, eventIndex: boolean): DeviceQueue {
  const { format, size, parts, memory } = guest;
  const startIndex = format.newRingBase;
  return format.deviceQueue(size, parts, { memory, eventIndex, indirect: false, inOrder: false, startIndex });
}

/** Makes the driver's queue, and with it a fresh ring. */
export function driverOn(guest: GuestParts, eventIndex: boolean): DriverQueue {
  const { format, size, parts } = guest;
  const startIndex = format.newRingBase;
  return makeDriverQueue(format, size, parts, { eventIndex, inOrder: false, indirectTables: null, startIndex });
}

/** A chain of one byte. */
export function byteChain(guest: GuestParts): DescriptorChain {
  return new DescriptorChain(1).readable(guest.dataAddress, 1);
}

// Nothing but the queue's own code stands in these two loops, and they are functions of their own, so that the compiler
// may do to them whatever the queue's code allows. A counter of turns would help the queue: when it passes 2^31 the
// optimised loop is left, and everything is loaded again.

/** Spins until the driver in another thread has published a chain: for ever, when the queue does not see it. */
export function spinUntilAvailable(queue: DeviceQueue): void {
  while (queue.pending() === 0);
}

/** Spins until a chain of the driver in another thread can be popped. */
export function spinUntilPopped(queue: DeviceQueue, elements: Elements, pool: IovPool): void {
  while (queue.pop(elements, pool) === PopResult.empty);
}

/** Spins until the device in another thread has published a used chain. */
export function spinUntilUsed(queue: DriverQueue): void {
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
  driver: DriverQueue,
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
export function raceAsDevice(queue: DeviceQueue, guest: GuestParts, meeting: Meeting, rounds: number): boolean {
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

// A stream of chains whose every number follows from how many came before: a side that looks at a descriptor before its
// flags or its index, or shows it before it is written, gets an old number sooner or later.

/** Turns without a chain after which a stream has stopped; some ten seconds. */
const IDLE_TURNS_MAX = 500_000_000;

/** Buffers of the `n`-th chain. */
function streamBuffers(n: number): number {
  return 1 + (n % 3);
}

/** Bytes of the first buffer of the `n`-th chain; a prime, so that no lap of a ring looks like another. */
function streamBytes(n: number): number {
  return 1 + (n % 61);
}

/** Runs `chains` chains of the stream as the driver, on a ring that {@link driverOn} made. Returns how many were right. */
export function streamAsDriver(driver: DriverQueue, guest: GuestParts, chains: number): number {
  const chain = new DescriptorChain(3);
  let sent = 0;
  let returned = 0;
  let right = 0;
  for (let idle = 0; returned < chains && idle < IDLE_TURNS_MAX; idle++) {
    for (; sent < chains && driver.freeCount >= 3; sent++) {
      chain.clear().writable(guest.dataAddress, streamBytes(sent));
      for (let i = 1; i < streamBuffers(sent); i++) chain.writable(guest.dataAddress, i);
      driver.add(chain);
    }
    driver.publish();
    for (let head = driver.reap(); head !== PopResult.empty; head = driver.reap()) {
      if (head === PopResult.broken) return right;
      if (driver.reapedBytes === streamBytes(returned) + 7) right++;
      returned++;
      idle = 0;
    }
  }
  return right;
}

/** Runs the same as the device; true when every chain came as it was made. */
export function streamAsDevice(queue: DeviceQueue, guest: GuestParts, chains: number): boolean {
  const pool = new IovPool(guest.windows, 8);
  const elements = new Elements(2);
  let right = true;
  for (let done = 0; done < chains; ) {
    pool.truncate(0);
    elements.clear();
    while (queue.pop(elements, pool) >= 0);
    if (queue.brokenReason !== RingFault.none) return false;
    for (let i = 0; i < elements.count; i++, done++) {
      const buffers = streamBuffers(done);
      const bytes = streamBytes(done);
      const others = buffers === 3 ? 3 : buffers - 1;
      if (elements.inCount[i] !== buffers || elements.inBytes[i] !== bytes + others) right = false;
      if (pool.length[elements.firstEntry[i]] !== bytes) right = false;
      queue.push(elements.head[i], bytes + 7);
    }
    queue.publish();
  }
  return right;
}
