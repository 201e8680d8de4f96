import { DescriptorFlag, writeDescriptor } from "./descriptor.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import { PopResult } from "./device-queue.ts";
import { checkIndirectTables, type DriverQueue, type IndirectTables } from "./driver-queue.ts";
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

// Trust: used descriptors are written by the device. It is believed no more than a driver is: an id that the device does
// not hold breaks the queue.

/** What a {@link PackedDriverQueue} is made of. */
export interface PackedDriverQueueOptions {
  readonly ring: PackedRing;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated: one used descriptor may stand for a batch. Default false. */
  readonly inOrder?: boolean;
  /** Where indirect tables go, when VIRTIO_F_INDIRECT_DESC was negotiated; else null. */
  readonly indirectTables: IndirectTables | null;
  /** Where both sides begin: `PACKED_RING_START` in a new ring, another offset and wrap counter in tests of the wrap. */
  readonly startIndex: number;
}

/** Where the chain of a buffer id is. */
const State = { free: 0, added: 1, published: 2 } as const;

/**
 * The driver's side of a packed virtqueue (virtio 1.3, 2.8): for tests of devices, and for a driver of one's own.
 *
 * Making one writes the flags of all descriptors and leaves notifications allowed.
 */
export class PackedDriverQueue implements DriverQueue {
  readonly size: number;
  brokenReason: number = RingFault.none;
  reapedBytes = 0;
  readonly #ring: PackedRing;
  readonly #eventIndex: boolean;
  readonly #inOrder: boolean;
  readonly #tables: IndirectTables | null;
  // All that is known of chains lives here, where the device cannot write; the index is the buffer id.
  readonly #state: Uint8Array;
  readonly #chainLength: Uint16Array;
  readonly #writableBytes: Float64Array;
  /** Free ids, as a stack. */
  readonly #freeIds: Uint16Array;
  #freeIdCount: number;
  /** Ids of chains that were added and not reaped, oldest first, from `#oldest` on. */
  readonly #order: Uint16Array;
  #oldest = 0;
  #orderCount = 0;
  #unpublishedChains = 0;
  #freeCount: number;
  // Where the next available descriptor goes, and where the next used one is looked for.
  #next: number;
  #nextWrap: number;
  #used: number;
  #usedWrap: number;
  // The first descriptor that the device must not see yet, and its last word; -1: none.
  #firstHidden = -1;
  #firstWord = 0;
  #unpublishedDescriptors = 0;
  /** The position behind the last descriptor that was published. */
  #published: number;
  #unkicked = 0;
  // Chains left of the batch that the device returned last, the id of the last of them, and what was written to it.
  #batchLeft = 0;
  #batchId = 0;
  #batchBytes = 0;

  /** @throws RangeError when the indirect tables are too small for the ring, or it has no descriptor at `startIndex`. */
  constructor(options: PackedDriverQueueOptions) {
    const { ring, indirectTables, startIndex } = options;
    const { size } = ring;
    checkIndirectTables(indirectTables, size);
    if (!isPackedPosition(startIndex, size)) throw new RangeError(`a start at ${startIndex} of ${size} descriptors`);
    this.#ring = ring;
    this.size = size;
    this.#eventIndex = options.eventIndex;
    this.#inOrder = options.inOrder ?? false;
    this.#tables = indirectTables;
    this.#state = new Uint8Array(size);
    this.#chainLength = new Uint16Array(size);
    this.#writableBytes = new Float64Array(size);
    this.#freeIds = new Uint16Array(size);
    for (let i = 0; i < size; i++) this.#freeIds[i] = size - 1 - i;
    this.#freeIdCount = size;
    this.#order = new Uint16Array(size);
    this.#freeCount = size;
    this.#next = startIndex & 0x7fff;
    this.#nextWrap = startIndex >>> 15;
    this.#used = this.#next;
    this.#usedWrap = this.#nextWrap;
    this.#published = startIndex;
    // As if the ring had been used up to here: in this lap before the start, in the last lap behind it.
    for (let i = 0; i < size; i++) {
      const wrap = i < this.#next ? this.#nextWrap : 1 - this.#nextWrap;
      Atomics.store(ring.descriptors, i * 4 + 3, usedFlags(wrap) << 16);
    }
    Atomics.store(ring.deviceEvent, 0, EventFlags.enable << 16);
    Atomics.store(ring.driverEvent, 0, EventFlags.enable << 16);
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  add(chain: DescriptorChain): number {
    const { count } = chain;
    if (count === 0 || count > this.#freeCount) return -1;
    const id = this.#takeId(chain, count);
    for (let i = 0; i < count; i++) {
      const more = i + 1 < count ? DescriptorFlag.next : 0;
      const write = i < chain.readableCount ? 0 : DescriptorFlag.write;
      this.#fill(chain.addressHigh[i], chain.addressLow[i], chain.lengthBytes[i], id, more | write);
    }
    return id;
  }

  addIndirect(chain: DescriptorChain): number {
    const tables = this.#tables;
    const { count } = chain;
    if (tables === null || count === 0 || count > tables.tableSize || this.#freeCount === 0) return -1;
    const id = this.#takeId(chain, 1);
    const first = id * tables.tableSize;
    for (let i = 0; i < count; i++) {
      const write = i < chain.readableCount ? 0 : DescriptorFlag.write;
      const { addressHigh, addressLow, lengthBytes } = chain;
      writeDescriptor(tables.words, first + i, addressHigh[i], addressLow[i], lengthBytes[i], write << 16);
    }
    const address = tables.guestAddress + first * 16;
    this.#fill(Math.floor(address / 0x1_0000_0000), address, count * 16, id, DescriptorFlag.indirect);
    return id;
  }

  #takeId(chain: DescriptorChain, descriptors: number): number {
    const id = this.#freeIds[--this.#freeIdCount];
    let writableBytes = 0;
    for (let i = chain.readableCount; i < chain.count; i++) writableBytes += chain.lengthBytes[i];
    this.#state[id] = State.added;
    this.#chainLength[id] = descriptors;
    this.#writableBytes[id] = writableBytes;
    this.#order[(this.#oldest + this.#orderCount++) % this.size] = id;
    this.#unpublishedChains++;
    this.#unpublishedDescriptors += descriptors;
    this.#freeCount -= descriptors;
    return id;
  }

  /** Fills the next descriptor; the flags of the first one that is not published stay here. */
  #fill(addressHigh: number, addressLow: number, lengthBytes: number, id: number, flags: number): void {
    const { descriptors } = this.#ring;
    const at = this.#next;
    let word = ((flags | availableFlags(this.#nextWrap)) << 16) | id;
    if (this.#firstHidden < 0) {
      this.#firstHidden = at;
      this.#firstWord = word;
      word = descriptors[at * 4 + 3];
    }
    writeDescriptor(descriptors, at, addressHigh, addressLow, lengthBytes, word);
    this.#next++;
    if (this.#next === this.size) {
      this.#next = 0;
      this.#nextWrap ^= 1;
    }
  }

  publish(): void {
    if (this.#firstHidden < 0) return;
    for (let i = this.#orderCount - this.#unpublishedChains; i < this.#orderCount; i++) {
      this.#state[this.#order[(this.#oldest + i) % this.size]] = State.published;
    }
    Atomics.store(this.#ring.descriptors, this.#firstHidden * 4 + 3, this.#firstWord);
    this.#firstHidden = -1;
    this.#published = (this.#nextWrap << 15) | this.#next;
    this.#unpublishedChains = 0;
    this.#unkicked += this.#unpublishedDescriptors;
    this.#unpublishedDescriptors = 0;
  }

  needsKick(): boolean {
    const unkicked = this.#unkicked;
    if (unkicked === 0) return false;
    this.#unkicked = 0;
    // As in the device: stored the flags first, and only now look whether the device sleeps.
    const event = Atomics.load(this.#ring.deviceEvent, 0);
    return wantsEvent(event, this.#eventIndex, this.size, this.#published, unkicked);
  }

  reap(): number {
    if (this.brokenReason !== RingFault.none) return PopResult.broken;
    if (this.#batchLeft === 0 && !this.#look()) {
      return this.brokenReason === RingFault.none ? PopResult.empty : PopResult.broken;
    }
    this.#batchLeft--;
    const id = this.#inOrder ? this.#order[this.#oldest] : this.#batchId;
    this.reapedBytes = this.#batchLeft > 0 ? this.#writableBytes[id] : this.#batchBytes;
    this.#forget(id);
    return id;
  }

  /** Reads the next used descriptor; false when there is none, or a wrong one. */
  #look(): boolean {
    const { descriptors } = this.#ring;
    const word = Atomics.load(descriptors, this.#used * 4 + 3);
    const flags = word >>> 16;
    if ((flags & OWNERSHIP_FLAGS) !== usedFlags(this.#usedWrap)) return false;
    const lengthBytes = descriptors[this.#used * 4 + 2];
    const id = word & 0xffff;
    const chains = id < this.size && this.#state[id] === State.published ? this.#chainsUpTo(id) : 0;
    if (chains === 0) {
      this.brokenReason = RingFault.usedUnknown;
      return false;
    }
    this.#batchId = id;
    this.#batchLeft = chains;
    this.#batchBytes = (flags & DescriptorFlag.write) !== 0 ? lengthBytes : 0;
    return true;
  }

  /** How many chains a used descriptor with this id returns. */
  #chainsUpTo(id: number): number {
    if (!this.#inOrder) return 1;
    let chains = 1;
    while (this.#order[(this.#oldest + chains - 1) % this.size] !== id) chains++;
    return chains;
  }

  /** Frees a chain. */
  #forget(id: number): void {
    const descriptors = this.#chainLength[id];
    this.#used += descriptors;
    if (this.#used >= this.size) {
      this.#used -= this.size;
      this.#usedWrap ^= 1;
    }
    this.#state[id] = State.free;
    this.#freeIds[this.#freeIdCount++] = id;
    this.#freeCount += descriptors;
    // In the order in which they were added, the chain is the oldest, unless the device reorders them.
    let at = 0;
    while (this.#order[(this.#oldest + at) % this.size] !== id) at++;
    for (; at > 0; at--) {
      this.#order[(this.#oldest + at) % this.size] = this.#order[(this.#oldest + at - 1) % this.size];
    }
    this.#oldest = (this.#oldest + 1) % this.size;
    this.#orderCount--;
  }

  suppressNotifications(): void {
    Atomics.store(this.#ring.driverEvent, 0, EventFlags.disable << 16);
  }

  allowNotifications(after = 0): boolean {
    let event: number = EventFlags.enable << 16;
    if (this.#eventIndex) {
      const index = this.#used + after;
      const wrap = this.#usedWrap ^ (Math.floor(index / this.size) & 1);
      event = (EventFlags.descriptor << 16) | (wrap << 15) | (index % this.size);
    }
    Atomics.store(this.#ring.driverEvent, 0, event);
    if (this.brokenReason !== RingFault.none) return false;
    return this.#batchLeft > 0 || this.#look();
  }
}
