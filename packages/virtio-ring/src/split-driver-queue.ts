import { DescriptorFlag, writeDescriptor } from "./descriptor.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import { PopResult } from "./device-queue.ts";
import { checkIndirectTables, type DriverQueue, type IndirectTables } from "./driver-queue.ts";
import { passedEvent } from "./event-index.ts";
import { RingFault } from "./ring-fault.ts";
import { Available, NO_INTERRUPT, NO_NOTIFY, type SplitRing, Used } from "./split-ring.ts";

// Trust: the used ring is written by the device. It is believed no more than a driver is: an id that the device does
// not hold, or an index that jumps, breaks the queue.

/** What a {@link SplitDriverQueue} is made of. */
export interface SplitDriverQueueOptions {
  readonly ring: SplitRing;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated: descriptors go round the table, and one used element may stand for a batch. */
  readonly inOrder?: boolean;
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
export class SplitDriverQueue implements DriverQueue {
  readonly size: number;
  brokenReason: number = RingFault.none;
  reapedBytes = 0;
  readonly #ring: SplitRing;
  readonly #mask: number;
  readonly #eventIndex: boolean;
  readonly #inOrder: boolean;
  readonly #tables: IndirectTables | null;
  // The free list and the length of each chain live here, where the device cannot write.
  readonly #nextFree: Uint16Array;
  readonly #chainLength: Uint16Array;
  readonly #writableBytes: Float64Array;
  /** The heads as they were made available, by slot of the available ring. */
  readonly #order: Uint16Array;
  #firstFree = 0;
  #freeCount: number;
  // Free-running 16-bit indexes: entries filled, entries published, used elements seen, used elements reaped.
  #filled: number;
  #published: number;
  #seen: number;
  #reaped: number;
  #unkicked = 0;
  // Chains left of the batch that the device returned last, the head of the last of them, and what was written to it.
  #batchLeft = 0;
  #batchHead = 0;
  #batchBytes = 0;

  /** @throws RangeError when the indirect tables are too small for the ring. */
  constructor(options: SplitDriverQueueOptions) {
    const { ring, indirectTables } = options;
    checkIndirectTables(indirectTables, ring.size);
    this.#ring = ring;
    this.size = ring.size;
    this.#mask = ring.size - 1;
    this.#eventIndex = options.eventIndex;
    this.#inOrder = options.inOrder ?? false;
    this.#tables = indirectTables;
    this.#nextFree = new Uint16Array(ring.size);
    for (let i = 0; i < ring.size; i++) this.#nextFree[i] = (i + 1) % ring.size;
    this.#chainLength = new Uint16Array(ring.size);
    this.#writableBytes = new Float64Array(ring.size);
    this.#order = new Uint16Array(ring.size);
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

  get freeCount(): number {
    return this.#freeCount;
  }

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
    this.#take(head, count, at, chain);
    return head;
  }

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
    this.#take(head, 1, this.#nextFree[head], chain);
    return head;
  }

  #take(head: number, count: number, nextFree: number, chain: DescriptorChain): void {
    let writableBytes = 0;
    for (let i = chain.readableCount; i < chain.count; i++) writableBytes += chain.lengthBytes[i];
    this.#writableBytes[head] = writableBytes;
    this.#order[this.#filled & this.#mask] = head;
    this.#firstFree = nextFree;
    this.#freeCount -= count;
    this.#chainLength[head] = count;
    this.#ring.available[Available.ring + (this.#filled & this.#mask)] = head;
    this.#filled = (this.#filled + 1) & 0xffff;
  }

  publish(): void {
    this.#unkicked += (this.#filled - this.#published) & 0xffff;
    this.#published = this.#filled;
    Atomics.store(this.#ring.available, Available.index, this.#filled);
  }

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

  reap(): number {
    if (this.#seen === this.#reaped) {
      this.#look();
      if (this.brokenReason !== RingFault.none) return PopResult.broken;
      if (this.#seen === this.#reaped) return PopResult.empty;
    }
    if (this.#batchLeft === 0 && !this.#readUsed()) return PopResult.broken;
    this.#batchLeft--;
    const head = this.#inOrder ? this.#order[this.#reaped & this.#mask] : this.#batchHead;
    this.reapedBytes = this.#batchLeft > 0 ? this.#writableBytes[head] : this.#batchBytes;
    this.#forget(head);
    return head;
  }

  /** Reads the next used element, which returns one chain, or in order a batch; false when it is a wrong one. */
  #readUsed(): boolean {
    const word = (this.#reaped & this.#mask) * 2;
    const head = this.#ring.usedElements[word];
    const writtenBytes = this.#ring.usedElements[word + 1];
    let chains = head < this.size && this.#chainLength[head] > 0 ? 1 : 0;
    if (chains > 0 && this.#inOrder) {
      const visible = (this.#seen - this.#reaped) & 0xffff;
      while (chains <= visible && this.#order[(this.#reaped + chains - 1) & this.#mask] !== head) chains++;
      if (chains > visible) chains = 0;
    }
    if (chains === 0) {
      this.#break(RingFault.usedUnknown);
      return false;
    }
    this.#batchLeft = chains;
    this.#batchHead = head;
    this.#batchBytes = writtenBytes;
    return true;
  }

  /** Frees a chain. */
  #forget(head: number): void {
    const count = this.#chainLength[head];
    this.#chainLength[head] = 0;
    this.#freeCount += count;
    this.#reaped = (this.#reaped + 1) & 0xffff;
    // In order the free descriptors are those between the newest chain and the oldest, linked as they always were.
    if (this.#inOrder) return;
    // The chain's own links in the free list are still what they were when it was taken.
    let last = head;
    for (let i = 1; i < count; i++) last = this.#nextFree[last];
    this.#nextFree[last] = this.#firstFree;
    this.#firstFree = head;
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

  suppressNotifications(): void {
    if (!this.#eventIndex) Atomics.store(this.#ring.available, Available.flags, NO_INTERRUPT);
  }

  allowNotifications(after = 0): boolean {
    const { available } = this.#ring;
    if (this.#eventIndex) Atomics.store(available, Available.ring + this.size, this.#reaped + after);
    else Atomics.store(available, Available.flags, 0);
    if (this.#seen !== this.#reaped) return true;
    this.#look();
    return this.#seen !== this.#reaped;
  }
}
