import type { DescriptorChain } from "./descriptor-chain.ts";
import { PopResult } from "./device-queue.ts";
import { passedEvent } from "./event-index.ts";
import { RingFault } from "./ring-fault.ts";
import { Available, DescriptorFlag, NO_INTERRUPT, NO_NOTIFY, type SplitRing, Used } from "./split-ring.ts";

// Trust: the used ring is written by the device. It is believed no more than a driver is: an id that the device does
// not hold, or an index that jumps, breaks the queue.

/** Memory for the indirect tables of a driver: one table for each descriptor of the ring. */
export interface IndirectTables {
  /** At least `size * tableSize * 4` words. */
  readonly words: Uint32Array;
  /** Guest address of the first word; a multiple of 16, below 2^53. */
  readonly guestAddress: number;
  /** Descriptors in each table. */
  readonly tableSize: number;
}

/** What a {@link SplitDriverQueue} is made of. */
export interface SplitDriverQueueOptions {
  readonly ring: SplitRing;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** Where indirect tables go, when VIRTIO_F_INDIRECT_DESC was negotiated; else null. */
  readonly indirectTables: IndirectTables | null;
  /** Where both indexes begin: 0 in a new ring, another number in tests of the wrap. */
  readonly startIndex: number;
}

/**
 * The driver's side of a split virtqueue (virtio 1.3, 2.7): for tests of devices, and for a driver of one's own.
 *
 * Making one writes both of the driver's ring indexes and leaves notifications allowed.
 */
export class SplitDriverQueue {
  readonly size: number;
  /** A number of {@link RingFault}. */
  brokenReason: number = RingFault.none;
  /** Bytes that the device wrote to the chain reaped last, as it says. */
  reapedBytes = 0;
  readonly #ring: SplitRing;
  readonly #mask: number;
  readonly #eventIndex: boolean;
  readonly #tables: IndirectTables | null;
  // The free list and the length of each chain live here, where the device cannot write.
  readonly #nextFree: Uint16Array;
  readonly #chainLength: Uint16Array;
  #firstFree = 0;
  #freeCount: number;
  // Free-running 16-bit indexes: entries filled, entries published, used elements seen, used elements reaped.
  #filled: number;
  #published: number;
  #seen: number;
  #reaped: number;
  #unkicked = 0;

  /** @throws RangeError when the indirect tables are too small for the ring. */
  constructor(options: SplitDriverQueueOptions) {
    const { ring, indirectTables } = options;
    if (indirectTables !== null && indirectTables.words.length < ring.size * indirectTables.tableSize * 4) {
      throw new RangeError(`${indirectTables.words.length} words for ${ring.size} indirect tables`);
    }
    this.#ring = ring;
    this.size = ring.size;
    this.#mask = ring.size - 1;
    this.#eventIndex = options.eventIndex;
    this.#tables = indirectTables;
    this.#nextFree = new Uint16Array(ring.size);
    for (let i = 0; i < ring.size; i++) this.#nextFree[i] = i + 1;
    this.#chainLength = new Uint16Array(ring.size);
    this.#freeCount = ring.size;
    const start = options.startIndex & 0xffff;
    this.#filled = start;
    this.#published = start;
    this.#seen = start;
    this.#reaped = start;
    Atomics.store(ring.used, Used.flags, 0);
    Atomics.store(ring.used, Used.index, start);
    Atomics.store(ring.available, Available.flags, 0);
    Atomics.store(ring.available, Available.ring + ring.size, start);
    Atomics.store(ring.available, Available.index, start);
  }

  /** Free descriptors. */
  get freeCount(): number {
    return this.#freeCount;
  }

  /** Adds a chain in descriptors of the ring, unpublished. Returns its head, or -1 when they are too few. */
  add(chain: DescriptorChain): number {
    const { count } = chain;
    if (count === 0 || count > this.#freeCount) return -1;
    const head = this.#firstFree;
    let at = head;
    for (let i = 0; i < count; i++) {
      const next = this.#nextFree[at];
      const more = i + 1 < count ? DescriptorFlag.next | (next << 16) : 0;
      const write = i < chain.readableCount ? 0 : DescriptorFlag.write;
      writeDescriptor(
        this.#ring.descriptors,
        at,
        chain.addressHigh[i],
        chain.addressLow[i],
        chain.lengthBytes[i],
        more | write,
      );
      at = next;
    }
    this.#take(head, count, at);
    return head;
  }

  /** Adds a chain in an indirect table, unpublished. Returns its head, or -1 when there is no descriptor or table. */
  addIndirect(chain: DescriptorChain): number {
    const tables = this.#tables;
    const { count } = chain;
    if (tables === null || count === 0 || count > tables.tableSize || this.#freeCount === 0) return -1;
    const head = this.#firstFree;
    const first = head * tables.tableSize;
    for (let i = 0; i < count; i++) {
      const more = i + 1 < count ? DescriptorFlag.next | ((i + 1) << 16) : 0;
      const write = i < chain.readableCount ? 0 : DescriptorFlag.write;
      writeDescriptor(
        tables.words,
        first + i,
        chain.addressHigh[i],
        chain.addressLow[i],
        chain.lengthBytes[i],
        more | write,
      );
    }
    const address = tables.guestAddress + first * 16;
    const high = Math.floor(address / 0x1_0000_0000);
    writeDescriptor(this.#ring.descriptors, head, high, address, count * 16, DescriptorFlag.indirect);
    this.#take(head, 1, this.#nextFree[head]);
    return head;
  }

  #take(head: number, count: number, nextFree: number): void {
    this.#firstFree = nextFree;
    this.#freeCount -= count;
    this.#chainLength[head] = count;
    this.#ring.available[Available.ring + (this.#filled & this.#mask)] = head;
    this.#filled = (this.#filled + 1) & 0xffff;
  }

  /** Shows the device all chains added so far, at once. */
  publish(): void {
    this.#unkicked += (this.#filled - this.#published) & 0xffff;
    this.#published = this.#filled;
    Atomics.store(this.#ring.available, Available.index, this.#filled);
  }

  /** Says whether the device wants a kick for what was published since this was last asked. */
  needsKick(): boolean {
    const unkicked = this.#unkicked;
    if (unkicked === 0) return false;
    this.#unkicked = 0;
    const { used } = this.#ring;
    // As in the device: stored avail.idx first, and only now look whether the device sleeps.
    if (!this.#eventIndex) return (Atomics.load(used, Used.flags) & NO_NOTIFY) === 0;
    const event = Atomics.load(used, used.length - 1);
    return unkicked > 0xffff || passedEvent(event, this.#published, this.#published - unkicked);
  }

  /**
   * Takes back the next chain that the device has used and frees its descriptors. Returns its head, with
   * {@link SplitDriverQueue.reapedBytes}; or {@link PopResult.empty} or {@link PopResult.broken}.
   */
  reap(): number {
    if (this.#seen === this.#reaped) {
      this.#look();
      if (this.brokenReason !== RingFault.none) return PopResult.broken;
      if (this.#seen === this.#reaped) return PopResult.empty;
    }
    const word = (this.#reaped & this.#mask) * 2;
    const head = this.#ring.usedElements[word];
    const writtenBytes = this.#ring.usedElements[word + 1];
    const count = head < this.size ? this.#chainLength[head] : 0;
    if (count === 0) {
      this.#break(RingFault.usedUnknown);
      return PopResult.broken;
    }
    this.reapedBytes = writtenBytes;
    this.#chainLength[head] = 0;
    // The chain's own links in the free list are still what they were when it was taken.
    let last = head;
    for (let i = 1; i < count; i++) last = this.#nextFree[last];
    this.#nextFree[last] = this.#firstFree;
    this.#firstFree = head;
    this.#freeCount += count;
    this.#reaped = (this.#reaped + 1) & 0xffff;
    return head;
  }

  #look(): void {
    if (this.brokenReason !== RingFault.none) return;
    const index = Atomics.load(this.#ring.used, Used.index);
    const ahead = (index - this.#reaped) & 0xffff;
    if (ahead > ((this.#published - this.#reaped) & 0xffff)) this.#break(RingFault.indexJump);
    else this.#seen = index;
  }

  #break(fault: number): void {
    this.brokenReason = fault;
    this.#seen = this.#reaped;
  }

  /** Asks the device for no used buffer notifications for now; it may send some all the same. */
  suppressNotifications(): void {
    if (!this.#eventIndex) Atomics.store(this.#ring.available, Available.flags, NO_INTERRUPT);
  }

  /**
   * Asks the device for a notification when it uses the chain that is `after` chains behind the next one. Returns true
   * when used chains wait to be reaped already: for those no notification may come.
   */
  allowNotifications(after = 0): boolean {
    const { available } = this.#ring;
    if (this.#eventIndex) Atomics.store(available, Available.ring + this.size, this.#reaped + after);
    else Atomics.store(available, Available.flags, 0);
    if (this.#seen !== this.#reaped) return true;
    this.#look();
    return this.#seen !== this.#reaped;
  }
}

function writeDescriptor(
  words: Uint32Array,
  index: number,
  addressHigh: number,
  addressLow: number,
  lengthBytes: number,
  flagsAndNext: number,
): void {
  const word = index * 4;
  words[word] = addressLow;
  words[word + 1] = addressHigh;
  words[word + 2] = lengthBytes;
  words[word + 3] = flagsAndNext;
}
