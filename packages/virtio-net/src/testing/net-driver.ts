import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { DriverQueue, IndirectTables } from "@passt-ts/virtio-ring/driver-queue";
import { type DeviceQueueOptions, type RingParts, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import { type SplitRing, splitRing } from "@passt-ts/virtio-ring/split-ring";
import { makeDriverQueue, type QueueKind } from "@passt-ts/virtio-ring/testing/queues";

/** What every byte of a buffer holds until the device writes it. */
export const POISON = 0xa5;
/** Bytes between two buffers. */
const GAP_BYTES = 8;

/** What a {@link NetDriver} is made of. */
export interface NetDriverOptions {
  /** Guest memory; the driver uses all of it from `at` on. */
  readonly memory: Uint8Array;
  /** Guest address of `memory[0]`. Default 0. */
  readonly guestAddress?: number;
  /** Where in `memory` the driver's part begins, a multiple of 16. Default 0. */
  readonly at?: number;
  readonly size: number;
  /** Length of the virtio-net header, 10 or 12. Default 12. */
  readonly headerLength?: number;
  /** VIRTIO_NET_F_MRG_RXBUF was negotiated. Default true. */
  readonly mergeable?: boolean;
  /** Format of the ring. Default: split. */
  readonly format?: QueueKind["format"];
  readonly eventIndex?: boolean;
  readonly inOrder?: boolean;
  /** Each chain goes in an indirect table of this many descriptors. Default: none does. */
  readonly tableSize?: number;
  /** Default: that of a new ring. */
  readonly startIndex?: number;
}

/** One frame as the driver got it. */
export interface ReceivedFrame {
  readonly header: Uint8Array;
  /** What lies behind the header in the used bytes of its buffers. */
  readonly bytes: Uint8Array;
  /** Of each buffer (chain): the length that the device reported, and what it could hold. */
  readonly usedBytes: readonly number[];
  readonly capacityBytes: readonly number[];
  /** Nothing behind the used bytes, between or behind the descriptors' buffers was written. */
  readonly untouchedBehind: boolean;
}

interface Posted {
  readonly at: number;
  readonly sizes: readonly number[];
}

/**
 * The driver's side of one network queue, for tests: it lays frames and buffers out in descriptors as it is told.
 */
export class NetDriver {
  readonly kind: QueueKind;
  readonly queue: DriverQueue;
  readonly headerLength: number;
  readonly mergeable: boolean;
  readonly #memory: Uint8Array;
  readonly #guestAddress: number;
  readonly #size: number;
  readonly #parts: RingParts;
  readonly #startIndex: number;
  readonly #tables: IndirectTables | null;
  readonly #chain: DescriptorChain;
  readonly #posted = new Map<number, Posted>();
  readonly #free = new Map<number, number[]>();
  #top: number;

  constructor(options: NetDriverOptions) {
    const { memory, size } = options;
    this.#memory = memory;
    this.#guestAddress = options.guestAddress ?? 0;
    this.headerLength = options.headerLength ?? 12;
    this.mergeable = options.mergeable ?? true;
    const { format = splitFormat, eventIndex = false, inOrder = false } = options;
    this.kind = { format, eventIndex, inOrder };
    this.#size = size;
    this.#startIndex = options.startIndex ?? format.newRingBase;
    const descriptors = options.at ?? 0;
    const driver = descriptors + format.descriptorBytes(size);
    const device = (driver + format.driverBytes(size) + 3) & ~3;
    this.#top = (device + format.deviceBytes(size) + 15) & ~15;
    this.#parts = {
      descriptors: memory.subarray(descriptors),
      driver: memory.subarray(driver),
      device: memory.subarray(device),
    };
    this.#tables = this.#makeTables(options.tableSize ?? 0);
    const rest = { eventIndex, inOrder, indirectTables: this.#tables, startIndex: this.#startIndex };
    this.queue = makeDriverQueue(format, size, this.#parts, rest);
    this.#chain = new DescriptorChain(size);
  }

  #makeTables(tableSize: number): IndirectTables | null {
    if (tableSize === 0) return null;
    const words = this.#size * tableSize * 4;
    const at = this.#top;
    this.#top += words * 4;
    const { buffer, byteOffset } = this.#memory;
    return { words: new Uint32Array(buffer, byteOffset + at, words), guestAddress: this.#guestAddress + at, tableSize };
  }

  /** Makes the device's side of the queue, from its beginning. */
  deviceQueue(memory: DeviceQueueOptions["memory"]): DeviceQueue {
    const { format, eventIndex, inOrder } = this.kind;
    const indirect = this.#tables !== null;
    const startIndex = this.#startIndex;
    return format.deviceQueue(this.#size, this.#parts, { memory, eventIndex, indirect, inOrder, startIndex });
  }

  /** The ring, which must be a split one: for tests that look at its words. */
  get ring(): SplitRing {
    const { descriptors, driver, device } = this.#parts;
    if (this.kind.format !== splitFormat) throw new Error("not a split ring");
    return splitRing(this.#size, descriptors, driver, device);
  }

  /**
   * Makes one chain of `bytes`, cut into descriptors of the sizes in `split` and one with the rest, available.
   * Returns its head.
   */
  transmit(bytes: Uint8Array, split: readonly number[] = []): number {
    const sizes: number[] = [];
    let left = bytes.length;
    for (const size of split) {
      sizes.push(Math.min(size, left));
      left -= Math.min(size, left);
    }
    if (left > 0) sizes.push(left);
    const posted = this.#allocate(sizes);
    let from = 0;
    this.#eachBuffer(posted, (at, size) => {
      this.#memory.set(bytes.subarray(from, from + size), at);
      from += size;
    });
    return this.#add(posted, sizes.length);
  }

  /** Makes one chain of empty buffers of these sizes available for the device to write. Returns its head. */
  post(sizes: readonly number[]): number {
    return this.#add(this.#allocate(sizes), 0);
  }

  /** Makes a chain available whose first `readable` buffers the device reads, and writes the others. */
  postMixed(sizes: readonly number[], readable: number): number {
    return this.#add(this.#allocate(sizes), readable);
  }

  /** Takes back the chains that the device has used: what it reported for each, oldest first. */
  reapUsed(): number[] {
    const used: number[] = [];
    for (let head = this.queue.reap(); head >= 0; head = this.queue.reap()) {
      used.push(this.queue.reapedBytes);
      this.#release(head);
    }
    return used;
  }

  /** Takes the next received frame from the used ring, or null when there is none. */
  receive(): ReceivedFrame | null {
    const usedBytes: number[] = [];
    const capacityBytes: number[] = [];
    const flat: number[] = [];
    let untouchedBehind = true;
    let buffers = 1;
    for (let i = 0; i < buffers; i++) {
      const head = this.queue.reap();
      if (head < 0) {
        if (i === 0) return null;
        throw new Error(`a frame of ${buffers} buffers, of which ${i} were used`);
      }
      const posted = this.#posted.get(head) as Posted;
      usedBytes.push(this.queue.reapedBytes);
      capacityBytes.push(posted.sizes.reduce((sum, size) => sum + size, 0));
      flat.push(...this.#usedOf(posted, this.queue.reapedBytes));
      if (!this.#isUntouchedBehind(posted, this.queue.reapedBytes)) untouchedBehind = false;
      this.#release(head);
      if (this.mergeable && flat.length >= this.headerLength) buffers = flat[10] | (flat[11] << 8);
      else if (this.mergeable) buffers = i + 2;
    }
    const bytes = Uint8Array.from(flat);
    return {
      header: bytes.slice(0, this.headerLength),
      bytes: bytes.slice(this.headerLength),
      usedBytes,
      capacityBytes,
      untouchedBehind,
    };
  }

  #allocate(sizes: readonly number[]): Posted {
    const total = GAP_BYTES + sizes.reduce((sum, size) => sum + size + GAP_BYTES, 0);
    let at = this.#free.get(total)?.pop();
    if (at === undefined) {
      at = this.#top;
      this.#top += total;
      if (this.#top > this.#memory.length) throw new RangeError("the driver's memory is used up");
    }
    this.#memory.fill(POISON, at, at + total);
    return { at, sizes };
  }

  #release(head: number): void {
    const { at, sizes } = this.#posted.get(head) as Posted;
    this.#posted.delete(head);
    const total = GAP_BYTES + sizes.reduce((sum, size) => sum + size + GAP_BYTES, 0);
    const free = this.#free.get(total);
    if (free === undefined) this.#free.set(total, [at]);
    else free.push(at);
  }

  #eachBuffer(posted: Posted, visit: (at: number, size: number) => void): void {
    let at = posted.at + GAP_BYTES;
    for (const size of posted.sizes) {
      visit(at, size);
      at += size + GAP_BYTES;
    }
  }

  #add(posted: Posted, readable: number): number {
    const chain = this.#chain.clear();
    let index = 0;
    this.#eachBuffer(posted, (at, size) => {
      if (index++ < readable) chain.readable(this.#guestAddress + at, size);
      else chain.writable(this.#guestAddress + at, size);
    });
    const head = this.#tables === null ? this.queue.add(chain) : this.queue.addIndirect(chain);
    if (head < 0) throw new RangeError("the ring is full");
    this.#posted.set(head, posted);
    this.queue.publish();
    return head;
  }

  #usedOf(posted: Posted, usedBytes: number): number[] {
    const bytes: number[] = [];
    this.#eachBuffer(posted, (at, size) => {
      for (let i = 0; i < size && bytes.length < usedBytes; i++) bytes.push(this.#memory[at + i]);
    });
    return bytes;
  }

  #isUntouchedBehind(posted: Posted, usedBytes: number): boolean {
    let clean = true;
    const check = (from: number, to: number): void => {
      for (let i = from; i < to; i++) if (this.#memory[i] !== POISON) clean = false;
    };
    check(posted.at, posted.at + GAP_BYTES);
    this.#eachBuffer(posted, (at, size) => {
      check(at + Math.min(size, usedBytes), at + size + GAP_BYTES);
      usedBytes -= Math.min(size, usedBytes);
    });
    return clean;
  }
}
