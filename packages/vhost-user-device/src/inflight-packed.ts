import type { IovPool } from "@passt-ts/iov/iov";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { Elements } from "@passt-ts/virtio-ring/elements";
import { availableFlags, isPackedPosition, OWNERSHIP_FLAGS, type PackedRing } from "@passt-ts/virtio-ring/packed-ring";
import { WrappedQueue } from "./wrapped-queue.ts";

/** A queue region of a packed ring (vhost-user, "Inflight I/O tracking"): where words and bytes of its header lie. */
const Header = { version: 4, size: 5, used: 8, oldUsed: 9, wraps: 10, bytes: 32 } as const;
/** The word of 32 bits that holds both offsets. */
const OFFSETS_WORD = 4;

/** An entry: one for each descriptor, used for the first one of a chain. Bytes, and words of 16 and 32 bits in it. */
const Entry = { inflight: 0, next: 1, descriptor: 4, bytes: 32 } as const;

const VERSION = 1;

/** Bytes of the region of a ring of `size` descriptors. */
export function packedRegionBytes(size: number): number {
  return Header.bytes + Entry.bytes * size;
}

/**
 * What is in flight in a packed ring, in memory that outlives this process: where the device stands, which no part of
 * the ring says, and what the descriptors were that a batch of used ones overwrites.
 *
 * Entry `i` belongs to the chain whose first descriptor is number `i`: chains come back in order, so the free list of
 * the specification, which is left as it is, is not needed.
 *
 * Trust: as for {@link SplitRegion}.
 */
export class PackedRegion {
  readonly #ring: PackedRing;
  readonly #bytes: Uint8Array;
  readonly #shorts: Uint16Array;
  readonly #words: Uint32Array;

  /** @param bytes at least {@link packedRegionBytes}, at a multiple of 4. */
  constructor(bytes: Uint8Array, ring: PackedRing) {
    const length = packedRegionBytes(ring.size);
    this.#ring = ring;
    this.#bytes = bytes.subarray(0, length);
    this.#shorts = new Uint16Array(bytes.buffer, bytes.byteOffset, length / 2);
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, length / 4);
  }

  /** Where the ring goes on that its last back-end left, perhaps in the middle of anything; -1: the region is new. */
  recover(): number {
    const shorts = this.#shorts;
    const { size } = this.#ring;
    if (shorts[Header.version] !== VERSION || shorts[Header.size] !== size) return -1;
    const wraps = shorts[Header.wraps];
    const old = ((wraps & 0x100) << 7) | shorts[Header.oldUsed];
    const wanted = ((wraps & 1) << 15) | shorts[Header.used];
    if (!isPackedPosition(old, size) || !isPackedPosition(wanted, size)) return -1;
    const last = Atomics.load(this.#ring.descriptors, (old & 0x7fff) * 4 + 3) >>> 16;
    // The first descriptor of a batch is the last one to be written: it tells of all of them. It is used by then, or
    // made available again for another lap.
    const committed = old !== wanted && (last & OWNERSHIP_FLAGS) !== availableFlags(old >>> 15);
    if (old !== wanted && !committed) this.#restoreDescriptors();
    for (let i = 0; i < size; i++) this.givenBack(i);
    this.#settle(committed ? wanted : old);
    return committed ? wanted : old;
  }

  /** Undoes what an unfinished batch wrote to descriptors that the driver has not got back. */
  #restoreDescriptors(): void {
    const { descriptors, size } = this.#ring;
    for (let i = 0; i < size; i++) {
      const at = this.#entryAt(i);
      const from = (at >> 2) + Entry.descriptor;
      if (this.#bytes[at + Entry.inflight] === 0) continue;
      // A used descriptor keeps its address: one that has another is none of this back-end's.
      if (descriptors[i * 4] !== this.#words[from + 2] || descriptors[i * 4 + 1] !== this.#words[from + 3]) continue;
      descriptors[i * 4 + 2] = this.#words[from + 1];
      Atomics.store(descriptors, i * 4 + 3, this.#words[from]);
    }
  }

  /** Makes it the region of a ring that goes on at `position`: offset, with the wrap counter in bit 15. */
  begin(position: number): void {
    const { size } = this.#ring;
    this.#bytes.fill(0);
    this.#shorts[Header.size] = size;
    for (let i = 0; i < size; i++) this.#shorts[(this.#entryAt(i) >> 1) + Entry.next] = i + 1;
    this.#settle(position);
    Atomics.store(this.#shorts, Header.version, VERSION);
  }

  #entryAt(position: number): number {
    return Header.bytes + position * Entry.bytes;
  }

  /** Notes the chain whose first descriptor is number `at`, as long as nothing has overwritten it. */
  taken(at: number): void {
    const entry = this.#entryAt(at);
    const to = (entry >> 2) + Entry.descriptor;
    const { descriptors } = this.#ring;
    // In the order of the specification: id and flags, length, address.
    this.#words[to] = descriptors[at * 4 + 3];
    this.#words[to + 1] = descriptors[at * 4 + 2];
    this.#words[to + 2] = descriptors[at * 4];
    this.#words[to + 3] = descriptors[at * 4 + 1];
    this.#bytes[entry + Entry.inflight] = 1;
  }

  givenBack(at: number): void {
    this.#bytes[this.#entryAt(at) + Entry.inflight] = 0;
  }

  /** A batch will be published now that ends before `position`. */
  publishing(position: number): void {
    const wraps = (this.#shorts[Header.wraps] & 0x100) | (position >>> 15);
    Atomics.store(this.#shorts, Header.wraps, wraps);
    Atomics.store(this.#shorts, Header.used, position & 0x7fff);
  }

  /** The batch was published, and ended before `position`. */
  published(position: number): void {
    this.#settle(position);
  }

  #settle(position: number): void {
    const offset = position & 0x7fff;
    // The offsets first, at once: what is read between the two stores is still decided by the ring.
    Atomics.store(this.#words, OFFSETS_WORD, (offset << 16) | offset);
    Atomics.store(this.#shorts, Header.wraps, (position >>> 15) * 0x101);
  }
}

/** A packed queue whose chains are noted in a region while they are here. */
export class TrackedPackedQueue extends WrappedQueue {
  readonly #region: PackedRegion;
  /** First descriptors of the chains that were popped and not published, and how many chains these are. */
  readonly #firsts: Uint16Array;
  #held = 0;
  #pushed = 0;

  constructor(inner: DeviceQueue, region: PackedRegion) {
    super(inner);
    this.#region = region;
    this.#firsts = new Uint16Array(inner.size);
  }

  override pop(elements: Elements, pool: IovPool): number {
    const first = this.inner.nextAvailable & 0x7fff;
    const element = this.inner.pop(elements, pool);
    if (element >= 0) {
      this.#region.taken(first);
      this.#firsts[this.#held++] = first;
    }
    return element;
  }

  override unpop(elements: Elements, count: number): void {
    this.inner.unpop(elements, count);
    for (let i = 0; i < count; i++) this.#region.givenBack(this.#firsts[--this.#held]);
  }

  override push(head: number, writtenBytes: number): void {
    this.inner.push(head, writtenBytes);
    this.#pushed++;
  }

  override publish(): void {
    const pushed = this.#pushed;
    if (pushed === 0) return;
    // What is held and not pushed begins where the batch ends.
    const { nextAvailable } = this.inner;
    const end = pushed === this.#held ? nextAvailable & 0xffff : this.#endOfBatch(nextAvailable >>> 31);
    this.#region.publishing(end);
    this.inner.publish();
    for (let i = 0; i < pushed; i++) this.#region.givenBack(this.#firsts[i]);
    this.#firsts.copyWithin(0, pushed, this.#held);
    this.#held -= pushed;
    this.#pushed = 0;
    this.#region.published(end);
  }

  /** @param wrap the wrap counter where the batch begins. */
  #endOfBatch(wrap: number): number {
    const first = this.#firsts[this.#pushed];
    return ((first <= this.#firsts[0] ? wrap ^ 1 : wrap) << 15) | first;
  }
}
