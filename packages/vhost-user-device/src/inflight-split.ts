import type { IovPool } from "@passt-ts/iov/iov";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { Elements } from "@passt-ts/virtio-ring/elements";
import { Available, type SplitRing, Used } from "@passt-ts/virtio-ring/split-ring";
import { WrappedQueue } from "./wrapped-queue.ts";

/** A queue region of a split ring (vhost-user, "Inflight I/O tracking"): words of 16 bits before the entries. */
const Header = { version: 4, size: 5, lastBatchHead: 6, usedIndex: 7, words: 8 } as const;

/** An entry, one for each descriptor, used for heads of chains: bytes, and where words of 16 and 32 bits lie in it. */
const Entry = { inflight: 0, next: 3, counterLow: 2, counterHigh: 3, bytes: 16 } as const;

const VERSION = 1;

/** Bytes of the region of a ring of `size` descriptors. */
export function splitRegionBytes(size: number): number {
  return Header.words * 2 + Entry.bytes * size;
}

/**
 * What is in flight in a split ring, in memory that outlives this process.
 *
 * Trust: the front-end and whoever served the ring before wrote it. It is believed as far as the ring confirms it.
 */
export class SplitRegion {
  readonly #ring: SplitRing;
  readonly #bytes: Uint8Array;
  readonly #shorts: Uint16Array;
  readonly #words: Uint32Array;

  /** @param bytes at least {@link splitRegionBytes}, at a multiple of 4. */
  constructor(bytes: Uint8Array, ring: SplitRing) {
    const length = splitRegionBytes(ring.size);
    this.#ring = ring;
    this.#bytes = bytes.subarray(0, length);
    this.#shorts = new Uint16Array(bytes.buffer, bytes.byteOffset, length / 2);
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, length / 4);
  }

  /**
   * Where the ring goes on that its last back-end left, perhaps in the middle of anything; -1 when the region tells of
   * no ring, -2 when it tells of chains that were used out of order, which this device cannot go on with. Cleans up.
   */
  recover(): number {
    const shorts = this.#shorts;
    const { size, used } = this.#ring;
    if (shorts[Header.version] !== VERSION || shorts[Header.size] !== size) return -1;
    const usedIndex = Atomics.load(used, Used.index);
    const published = (usedIndex - shorts[Header.usedIndex]) & 0xffff;
    // More than a batch can have: the ring began anew since.
    if (published > size) return -1;
    let head = shorts[Header.lastBatchHead];
    for (let i = 0; i < published && head < size; i++) {
      this.#bytes[this.#entryAt(head) + Entry.inflight] = 0;
      head = shorts[(this.#entryAt(head) >> 1) + Entry.next];
    }
    const inOrder = this.#isInOrder(usedIndex);
    for (let i = 0; i < size; i++) this.#bytes[this.#entryAt(i) + Entry.inflight] = 0;
    Atomics.store(shorts, Header.usedIndex, usedIndex);
    return inOrder ? usedIndex : -2;
  }

  /** Makes it the region of a ring that goes on at `index`. */
  begin(index: number): void {
    this.#bytes.fill(0);
    this.#shorts[Header.size] = this.#ring.size;
    this.#shorts[Header.usedIndex] = index;
    Atomics.store(this.#shorts, Header.version, VERSION);
  }

  /** The chains in flight, in the order in which they were taken, are the next ones of the available ring. */
  #isInOrder(usedIndex: number): boolean {
    const { size, available } = this.#ring;
    const heads: number[] = [];
    for (let i = 0; i < size; i++) if (this.#bytes[this.#entryAt(i) + Entry.inflight] !== 0) heads.push(i);
    const counter = (head: number): number => {
      const word = this.#entryAt(head) >> 2;
      return this.#words[word + Entry.counterHigh] * 0x1_0000_0000 + this.#words[word + Entry.counterLow];
    };
    heads.sort((a, b) => counter(a) - counter(b));
    return heads.every((head, i) => available[Available.ring + ((usedIndex + i) & (size - 1))] === head);
  }

  #entryAt(head: number): number {
    return Header.words * 2 + head * Entry.bytes;
  }

  taken(head: number, counter: number): void {
    const at = this.#entryAt(head);
    this.#words[(at >> 2) + Entry.counterLow] = counter;
    this.#words[(at >> 2) + Entry.counterHigh] = counter / 0x1_0000_0000;
    this.#bytes[at + Entry.inflight] = 1;
  }

  givenBack(head: number): void {
    this.#bytes[this.#entryAt(head) + Entry.inflight] = 0;
  }

  /** Adds to the batch that is published next. */
  pushed(head: number): void {
    this.#shorts[(this.#entryAt(head) >> 1) + Entry.next] = this.#shorts[Header.lastBatchHead];
    this.#shorts[Header.lastBatchHead] = head;
  }

  /** The batch of the newest `count` pushes was published. */
  published(count: number): void {
    let head = this.#shorts[Header.lastBatchHead];
    for (let i = 0; i < count && head < this.#ring.size; i++) {
      this.givenBack(head);
      head = this.#shorts[(this.#entryAt(head) >> 1) + Entry.next];
    }
    Atomics.store(this.#shorts, Header.usedIndex, this.#ring.used[Used.index]);
  }
}

/** A split queue whose chains are noted in a region while they are here. */
export class TrackedSplitQueue extends WrappedQueue {
  readonly #region: SplitRegion;
  #counter = 0;
  #pushed = 0;

  constructor(inner: DeviceQueue, region: SplitRegion) {
    super(inner);
    this.#region = region;
  }

  override pop(elements: Elements, pool: IovPool): number {
    const element = this.inner.pop(elements, pool);
    if (element >= 0) this.#region.taken(elements.head[element], this.#counter++);
    return element;
  }

  override unpop(elements: Elements, count: number): void {
    const newest = elements.count - 1;
    for (let i = 0; i < count; i++) this.#region.givenBack(elements.head[newest - i]);
    this.inner.unpop(elements, count);
  }

  override push(head: number, writtenBytes: number): void {
    this.inner.push(head, writtenBytes);
    this.#region.pushed(head);
    this.#pushed++;
  }

  override publish(): void {
    this.inner.publish();
    if (this.#pushed > 0) this.#region.published(this.#pushed);
    this.#pushed = 0;
  }
}
