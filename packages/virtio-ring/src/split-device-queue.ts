import type { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import type { IovPool } from "@passt-ts/iov/iov";
import { ChainBuffers } from "./chain-buffers.ts";
import { DescriptorFlag } from "./descriptor.ts";
import { type DeviceQueue, PopResult } from "./device-queue.ts";
import type { Elements } from "./elements.ts";
import { passedEvent } from "./event-index.ts";
import { HeldChains } from "./held-chains.ts";
import { RingFault } from "./ring-fault.ts";
import { Available, NO_INTERRUPT, NO_NOTIFY, type SplitRing, Used } from "./split-ring.ts";

// Trust: descriptors and the available ring are written by the guest, at any time, also while they are read here. Each
// word is read once and checked as read; what a guest writes can break its own queue (a RingFault), and every loop that
// it steers ends after `size` descriptors.

/** What a {@link SplitDeviceQueue} is made of. */
export interface SplitDeviceQueueOptions {
  readonly ring: SplitRing;
  /** Where descriptors point. */
  readonly memory: GuestMemory;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated: one used element may stand for a batch. Default false. */
  readonly inOrder?: boolean;
  /** Where the queue goes on: the next available index, and, as no chain is held across a stop, the next used one. */
  readonly startIndex: number;
}

/** What the driver was last told about kicks; `unknown` until the first word, as a predecessor may have left any. */
const Kicks = { unknown: 0, suppressed: 1, allowed: 2 } as const;

/**
 * The device's side of a split virtqueue (virtio 1.3, 2.7): direct and indirect chains, both ways of suppressing
 * notifications, batches in order.
 *
 * Making one writes nothing to the ring: its owner says {@link SplitDeviceQueue.allowKicks} or
 * {@link SplitDeviceQueue.suppressKicks} first. A buffer of no bytes, which the specification neither allows nor
 * forbids, adds an empty entry.
 */
export class SplitDeviceQueue implements DeviceQueue {
  readonly size: number;
  brokenReason: number = RingFault.none;
  readonly #descriptors: Uint32Array;
  readonly #available: Uint16Array;
  readonly #used: Uint16Array;
  readonly #usedElements: Uint32Array;
  readonly #mask: number;
  readonly #eventIndex: boolean;
  readonly #indirectAllowed: boolean;
  readonly #inOrder: boolean;
  readonly #buffers: ChainBuffers;
  readonly #held: HeldChains;
  // Free-running 16-bit indexes: what the driver had published when we last looked, what we pop next, what we fill
  // next, and what we have published. seen >= next >= filled >= published.
  #seen: number;
  #next: number;
  #filled: number;
  #published: number;
  // Chains published since needsNotification was last asked: a count, so that no number of them looks like none.
  #unsignalled = 0;
  /** What the driver waited for and had made available when it was last to be notified; -1: it never was, or cannot say so. */
  #eventNotified = -1;
  #indexNotified = -1;
  #kicks: number = Kicks.unknown;
  // Descriptors of the ring in the chain popped last.
  #walked = 0;
  // Where the used element of the batch begins that the next chain may join; -1: none.
  #openBatch = -1;

  constructor(options: SplitDeviceQueueOptions) {
    const { ring, memory } = options;
    this.size = ring.size;
    this.#descriptors = ring.descriptors;
    this.#available = ring.available;
    this.#used = ring.used;
    this.#usedElements = ring.usedElements;
    this.#mask = ring.size - 1;
    this.#eventIndex = options.eventIndex;
    this.#indirectAllowed = options.indirect;
    this.#inOrder = options.inOrder ?? false;
    this.#buffers = new ChainBuffers(memory);
    this.#held = new HeldChains(ring.size);
    const start = options.startIndex & 0xffff;
    this.#seen = start;
    this.#next = start;
    this.#filled = start;
    this.#published = start;
  }

  get nextAvailable(): number {
    return this.#next;
  }

  get heldDescriptors(): number {
    return this.#held.descriptors;
  }

  pending(): number {
    if (this.#seen === this.#next) this.#look();
    return (this.#seen - this.#next) & 0xffff;
  }

  /** Reads the driver's index. It may not be further ahead of what was published than the ring has descriptors. */
  #look(): void {
    if (this.brokenReason !== RingFault.none) return;
    const index = Atomics.load(this.#available, Available.index);
    const held = (this.#next - this.#published) & 0xffff;
    if (((index - this.#next) & 0xffff) > this.size - held) this.#break(RingFault.indexJump);
    else this.#seen = index;
  }

  #break(fault: number): void {
    this.brokenReason = fault;
    this.#seen = this.#next;
  }

  pop(elements: Elements, pool: IovPool): number {
    if (this.#seen === this.#next) {
      this.#look();
      if (this.brokenReason !== RingFault.none) return PopResult.broken;
      if (this.#seen === this.#next) return PopResult.empty;
    }
    const at = elements.count;
    if (at === elements.capacity) return PopResult.poolFull;
    const mark = pool.count;
    const head = this.#available[Available.ring + (this.#next & this.#mask)];
    this.#buffers.clear();
    const result = head < this.size ? this.#walk(head, pool) : RingFault.headOutOfRange;
    if (result !== RingFault.none) {
      pool.truncate(mark);
      if (result === PopResult.poolFull && mark > 0) return PopResult.poolFull;
      this.#break(result === PopResult.poolFull ? RingFault.tooManyEntries : result);
      return PopResult.broken;
    }
    this.#next = (this.#next + 1) & 0xffff;
    this.#held.add(this.#walked, this.#buffers.inBytes > 0);
    return this.#buffers.store(elements, head, pool, mark);
  }

  /** Appends the buffers of the chain at `head`: 0, a fault, or {@link PopResult.poolFull}. */
  #walk(head: number, pool: IovPool): number {
    const descriptors = this.#descriptors;
    let word = head * 4;
    for (let walked = 1; walked <= this.size; walked++) {
      const addressLow = descriptors[word];
      const addressHigh = descriptors[word + 1];
      const lengthBytes = descriptors[word + 2];
      const flagsAndNext = descriptors[word + 3];
      this.#walked = walked;
      if ((flagsAndNext & DescriptorFlag.indirect) !== 0) {
        if (!this.#indirectAllowed) return RingFault.indirectNotNegotiated;
        if ((flagsAndNext & DescriptorFlag.next) !== 0) return RingFault.indirectWithNext;
        const left = this.size - walked + 1;
        return this.#buffers.addLinkedTable(addressHigh, addressLow, lengthBytes, left, pool);
      }
      const result = this.#buffers.add(addressHigh, addressLow, lengthBytes, flagsAndNext, pool);
      if (result !== RingFault.none) return result;
      if ((flagsAndNext & DescriptorFlag.next) === 0) return RingFault.none;
      const next = flagsAndNext >>> 16;
      if (next >= this.size) return RingFault.nextOutOfRange;
      word = next * 4;
    }
    return RingFault.chainTooLong;
  }

  unpop(elements: Elements, count: number): void {
    const first = elements.count - count;
    if (count < 0 || first < 0 || count > this.#held.count) throw new RangeError(`cannot take back ${count} chains`);
    if (count === 0) return;
    elements.pool?.truncate(elements.firstEntry[first]);
    elements.count = first;
    this.#next = (this.#next - count) & 0xffff;
    for (let i = 0; i < count; i++) this.#held.dropNewest();
    // A queue that broke in between goes on popping nothing.
    if (this.brokenReason !== RingFault.none) this.#seen = this.#next;
  }

  push(head: number, writtenBytes: number): void {
    this.#held.takeOldest();
    const at = this.#openBatch < 0 ? this.#filled & this.#mask : this.#openBatch;
    this.#usedElements[at * 2] = head;
    this.#usedElements[at * 2 + 1] = writtenBytes;
    this.#filled = (this.#filled + 1) & 0xffff;
    this.#openBatch = this.#inOrder && !this.#held.writable ? at : -1;
  }

  publish(): void {
    const count = (this.#filled - this.#published) & 0xffff;
    if (count === 0) return;
    this.#published = this.#filled;
    this.#unsignalled += count;
    this.#openBatch = -1;
    this.#held.release();
    Atomics.store(this.#used, Used.index, this.#filled);
  }

  needsNotification(): boolean {
    const unsignalled = this.#unsignalled;
    if (unsignalled === 0) return false;
    this.#unsignalled = 0;
    // The load comes after the store of used.idx in the one order that all threads see (Atomics are sequentially
    // consistent): a driver that stores its wish and then finds no news is seen here.
    if (!this.#eventIndex) return (Atomics.load(this.#available, Available.flags) & NO_INTERRUPT) === 0;
    const event = Atomics.load(this.#available, Available.ring + this.size);
    const wanted = unsignalled > 0xffff || passedEvent(event, this.#published, this.#published - unsignalled);
    if (wanted) {
      this.#eventNotified = event;
      this.#indexNotified = Atomics.load(this.#available, Available.index);
    }
    return wanted;
  }

  isNotificationUnheard(): boolean {
    return (
      this.#eventNotified === Atomics.load(this.#available, Available.ring + this.size) &&
      this.#indexNotified === Atomics.load(this.#available, Available.index)
    );
  }

  suppressKicks(): void {
    // With event indexes the flags stay 0, and an avail_event left behind keeps the driver quiet (2.7.10).
    if (this.#kicks === Kicks.unknown || (this.#kicks === Kicks.allowed && !this.#eventIndex)) {
      Atomics.store(this.#used, Used.flags, this.#eventIndex ? 0 : NO_NOTIFY);
    }
    this.#kicks = Kicks.suppressed;
  }

  allowKicks(): boolean {
    if (this.#kicks === Kicks.unknown || (this.#kicks === Kicks.suppressed && !this.#eventIndex)) {
      Atomics.store(this.#used, Used.flags, 0);
    }
    if (this.#eventIndex) Atomics.store(this.#used, this.#used.length - 1, this.#next);
    this.#kicks = Kicks.allowed;
    if (this.#seen !== this.#next) return true;
    this.#look();
    return this.#seen !== this.#next;
  }
}
