import type { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import type { IovPool } from "@passt-ts/iov/iov";
import { ChainBuffers } from "./chain-buffers.ts";
import { DescriptorFlag } from "./descriptor.ts";
import { type DeviceQueue, PopResult } from "./device-queue.ts";
import type { Elements } from "./elements.ts";
import { HeldChains } from "./held-chains.ts";
import {
  availableFlags,
  EventFlags,
  isPackedPosition,
  OWNERSHIP_FLAGS,
  type PackedRing,
  usedFlags,
  wantsEvent,
} from "./packed-ring.ts";
import { RingFault } from "./ring-fault.ts";

// Trust: the guest may write every descriptor at any time, also while it is read here, and also those that it gave to
// the device. Each word of a chain is read once and checked as read. What a guest writes can break its own queue (a
// RingFault), and every loop that it steers ends after `size` descriptors. What has to be known of chains that the
// device holds is kept here, not in the ring.

/** What a {@link PackedDeviceQueue} is made of. */
export interface PackedDeviceQueueOptions {
  readonly ring: PackedRing;
  /** Where descriptors point. */
  readonly memory: GuestMemory;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated: one used descriptor may stand for a batch. Default false. */
  readonly inOrder?: boolean;
  /**
   * Where the queue goes on: offset and, in bit 15, wrap counter of the next descriptor to look at, and, as no chain is
   * held across a stop, to write as well. Higher bits, such as a vhost-user base has, are not looked at.
   */
  readonly startIndex: number;
}

/** No word of an event suppression structure. */
const UNKNOWN = -1;

/**
 * The device's side of a packed virtqueue (virtio 1.3, 2.8) of any size: direct and indirect chains, both ways of
 * suppressing notifications, batches in order.
 *
 * Making one writes nothing to the ring: its owner says {@link PackedDeviceQueue.allowKicks} or
 * {@link PackedDeviceQueue.suppressKicks} first. A buffer of no bytes adds an empty entry. Used descriptors stay here until
 * they are published, so that the ring is a correct one whenever the device goes away.
 *
 * The offset in the device event suppression is always where the next used descriptor goes, with its wrap counter. To
 * the driver it means something only beside the flag for one descriptor (2.8.14), which is set only when a kick is
 * wanted just there. So the ring says by itself how far its device came, also to the one after a device that was killed.
 */
export class PackedDeviceQueue implements DeviceQueue {
  readonly size: number;
  brokenReason: number = RingFault.none;
  readonly #descriptors: Uint32Array;
  readonly #driverEvent: Uint32Array;
  readonly #deviceEvent: Uint32Array;
  readonly #eventIndex: boolean;
  readonly #indirectAllowed: boolean;
  readonly #inOrder: boolean;
  readonly #buffers: ChainBuffers;
  readonly #held: HeldChains;
  // Offsets with their wrap counters: what we pop next, and where the next used descriptor goes.
  #next: number;
  #nextWrap: number;
  #filled: number;
  #filledWrap: number;
  /** Offset and wrap counter of what was published last, as in `startIndex`. */
  #published: number;
  // The chain popped last: its buffer id, its descriptors of the ring, and what follows it.
  #id = 0;
  #walked = 0;
  #after = 0;
  #afterWrap = 0;
  // Used descriptors that were pushed and not published: where they go, and their last two words.
  readonly #usedAt: Uint16Array;
  readonly #usedBytes: Uint32Array;
  readonly #usedWord: Uint32Array;
  #usedCount = 0;
  /** The last one stands for chains that need none of their own: the next chain may take its place. */
  #batchOpen = false;
  // Descriptors published since needsNotification was last asked.
  #unsignalled = 0;
  /** The word of the driver when it was last to be notified; UNKNOWN: it never was, or cannot say that it was. */
  #eventNotified: number = UNKNOWN;
  /** The word that the driver was told last; a predecessor may have left any. */
  #event: number = UNKNOWN;
  #suppressed = false;

  /** @throws RangeError when the ring has no descriptor at `startIndex`. */
  constructor(options: PackedDeviceQueueOptions) {
    const { ring } = options;
    const { size } = ring;
    const start = options.startIndex & 0xffff;
    if (!isPackedPosition(start, size)) throw new RangeError(`a start at ${start & 0x7fff} of ${size} descriptors`);
    this.size = size;
    this.#descriptors = ring.descriptors;
    this.#driverEvent = ring.driverEvent;
    this.#deviceEvent = ring.deviceEvent;
    this.#eventIndex = options.eventIndex;
    this.#indirectAllowed = options.indirect;
    this.#inOrder = options.inOrder ?? false;
    this.#buffers = new ChainBuffers(options.memory);
    this.#held = new HeldChains(size);
    this.#next = start & 0x7fff;
    this.#nextWrap = start >>> 15;
    this.#filled = this.#next;
    this.#filledWrap = this.#nextWrap;
    this.#published = start;
    this.#usedAt = new Uint16Array(size);
    this.#usedBytes = new Uint32Array(size);
    this.#usedWord = new Uint32Array(size);
  }

  /** As vhost-user has it for packed rings: the next available position, and in the upper half the next used one. */
  get nextAvailable(): number {
    return ((this.#published << 16) | (this.#nextWrap << 15) | this.#next) >>> 0;
  }

  get heldDescriptors(): number {
    return this.#held.descriptors;
  }

  pending(): number {
    if (this.brokenReason !== RingFault.none) return 0;
    const word = Atomics.load(this.#descriptors, this.#next * 4 + 3);
    return this.#isNext(word) ? 1 : 0;
  }

  /** Says whether this last word of the next descriptor makes it available. */
  #isNext(word: number): boolean {
    if (((word >>> 16) & OWNERSHIP_FLAGS) !== availableFlags(this.#nextWrap)) return false;
    // With all descriptors held the next one is one of them: it was not the driver's to give.
    if (this.#held.descriptors === this.size) this.brokenReason = RingFault.indexJump;
    return this.brokenReason === RingFault.none;
  }

  pop(elements: Elements, pool: IovPool): number {
    if (this.brokenReason !== RingFault.none) return PopResult.broken;
    // Nothing else of the chain may be loaded before this: it says that the driver has written the chain.
    const word = Atomics.load(this.#descriptors, this.#next * 4 + 3);
    if (!this.#isNext(word)) return this.brokenReason === RingFault.none ? PopResult.empty : PopResult.broken;
    if (elements.count === elements.capacity) return PopResult.poolFull;
    const mark = pool.count;
    this.#buffers.clear();
    const result = this.#walk(word, pool);
    if (result !== RingFault.none) {
      pool.truncate(mark);
      if (result === PopResult.poolFull && mark > 0) return PopResult.poolFull;
      this.brokenReason = result === PopResult.poolFull ? RingFault.tooManyEntries : result;
      return PopResult.broken;
    }
    this.#held.add(this.#walked, this.#buffers.inBytes > 0);
    this.#next = this.#after;
    this.#nextWrap = this.#afterWrap;
    return this.#buffers.store(elements, this.#id, pool, mark);
  }

  /** Appends the buffers of the chain whose first last word is `word`: 0, a fault, or {@link PopResult.poolFull}. */
  #walk(word: number, pool: IovPool): number {
    const descriptors = this.#descriptors;
    const free = this.size - this.#held.descriptors;
    let at = this.#next;
    let wrap = this.#nextWrap;
    for (let walked = 1; walked <= free; walked++) {
      const addressLow = descriptors[at * 4];
      const addressHigh = descriptors[at * 4 + 1];
      const lengthBytes = descriptors[at * 4 + 2];
      const flags = word >>> 16;
      const more = (flags & DescriptorFlag.next) !== 0;
      if (++at === this.size) {
        at = 0;
        wrap ^= 1;
      }
      const result =
        (flags & DescriptorFlag.indirect) !== 0
          ? this.#addTable(addressHigh, addressLow, lengthBytes, flags, this.size - walked + 1, pool)
          : this.#buffers.add(addressHigh, addressLow, lengthBytes, flags, pool);
      if (result !== RingFault.none) return result;
      if (!more) {
        this.#id = word & 0xffff;
        this.#walked = walked;
        this.#after = at;
        this.#afterWrap = wrap;
        return RingFault.none;
      }
      // The driver makes the first descriptor available last (2.8.6), so the others are to be found so.
      word = descriptors[at * 4 + 3];
      if (((word >>> 16) & OWNERSHIP_FLAGS) !== availableFlags(wrap)) return RingFault.nextNotAvailable;
    }
    return RingFault.chainTooLong;
  }

  #addTable(high: number, low: number, lengthBytes: number, flags: number, left: number, pool: IovPool): number {
    if (!this.#indirectAllowed) return RingFault.indirectNotNegotiated;
    if ((flags & DescriptorFlag.next) !== 0) return RingFault.indirectWithNext;
    return this.#buffers.addWholeTable(high, low, lengthBytes, left, pool);
  }

  unpop(elements: Elements, count: number): void {
    const first = elements.count - count;
    if (count < 0 || first < 0 || count > this.#held.count) throw new RangeError(`cannot take back ${count} chains`);
    if (count === 0) return;
    elements.pool?.truncate(elements.firstEntry[first]);
    elements.count = first;
    for (let i = 0; i < count; i++) {
      this.#next -= this.#held.dropNewest();
      if (this.#next < 0) {
        this.#next += this.size;
        this.#nextWrap ^= 1;
      }
    }
  }

  push(head: number, writtenBytes: number): void {
    const descriptors = this.#held.takeOldest();
    const at = this.#batchOpen ? this.#usedCount - 1 : this.#usedCount;
    if (!this.#batchOpen) {
      this.#usedAt[at] = this.#filled;
      this.#usedWord[at] = usedFlags(this.#filledWrap) << 16;
      this.#usedCount = at + 1;
    }
    const flags = ((this.#usedWord[at] >>> 16) & OWNERSHIP_FLAGS) | (writtenBytes > 0 ? DescriptorFlag.write : 0);
    this.#usedWord[at] = (flags << 16) | head;
    this.#usedBytes[at] = writtenBytes;
    this.#batchOpen = this.#inOrder && !this.#held.writable;
    this.#filled += descriptors;
    if (this.#filled >= this.size) {
      this.#filled -= this.size;
      this.#filledWrap ^= 1;
    }
  }

  publish(): void {
    const count = this.#usedCount;
    if (count === 0) return;
    const descriptors = this.#descriptors;
    // The driver looks at one place, the first, and at the others only after that: so the first one comes last. Of each
    // other one the flags come first: a length without them would be taken for the driver's by the next device.
    for (let i = count - 1; i > 0; i--) {
      const word = this.#usedAt[i] * 4;
      descriptors[word + 3] = this.#usedWord[i];
      descriptors[word + 2] = this.#usedBytes[i];
    }
    const first = this.#usedAt[0] * 4;
    descriptors[first + 2] = this.#usedBytes[0];
    Atomics.store(descriptors, first + 3, this.#usedWord[0]);
    this.#usedCount = 0;
    this.#batchOpen = false;
    this.#published = (this.#filledWrap << 15) | this.#filled;
    this.#unsignalled += this.#held.release();
    // Behind the descriptors, so that a word which is behind names one that was used. It needs no order towards the
    // driver. A wish for one descriptor becomes one for any: its offset would no longer be the one that is wanted.
    this.#event = ((this.#suppressed ? EventFlags.disable : EventFlags.enable) << 16) | this.#published;
    this.#deviceEvent[0] = this.#event;
  }

  needsNotification(): boolean {
    const unsignalled = this.#unsignalled;
    if (unsignalled === 0) return false;
    this.#unsignalled = 0;
    // The load comes after the store of the flags in the one order that all threads see (Atomics are sequentially
    // consistent): a driver that stores its wish and then finds no news is seen here.
    const event = Atomics.load(this.#driverEvent, 0);
    const wanted = wantsEvent(event, this.#eventIndex, this.size, this.#published, unsignalled);
    // Who waits for any descriptor, or writes nonsense, may hear and wait for the same again.
    const canTell = this.#eventIndex && ((event >>> 16) & 3) === EventFlags.descriptor;
    if (wanted) this.#eventNotified = canTell ? event : UNKNOWN;
    return wanted;
  }

  isNotificationUnheard(): boolean {
    return this.#eventNotified === Atomics.load(this.#driverEvent, 0);
  }

  suppressKicks(): void {
    this.#suppressed = true;
    this.#tell(EventFlags.disable);
  }

  allowKicks(): boolean {
    this.#suppressed = false;
    // With chains held the next one is not where the queue stands: then a kick for each has to do.
    this.#tell(this.#eventIndex && this.#held.descriptors === 0 ? EventFlags.descriptor : EventFlags.enable);
    return this.pending() > 0;
  }

  #tell(flags: number): void {
    const event = (flags << 16) | this.#published;
    if (event === this.#event) return;
    this.#event = event;
    Atomics.store(this.#deviceEvent, 0, event);
  }
}
