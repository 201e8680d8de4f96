import type { FlowKey } from "./flow-key.ts";
import { KeyedHash } from "./keyed-hash.ts";

/** Buckets hold one more than the flow's number, so that a table that is hardly used has touched little memory. */
const EMPTY = 0;

/**
 * A table of flows of fixed size, found by key through open addressing with a keyed hash.
 *
 * A flow is a small number, stable from {@link FlowTable.insert} to {@link FlowTable.remove}: the owner keeps its own
 * columns beside these. The guest chooses the keys, so the hash is keyed and the size fixed. Nothing is allocated after
 * construction, and room for flows that never were costs no resident memory.
 */
export class FlowTable {
  readonly capacity: number;
  /** Live flows. */
  count = 0;
  /** 4 words a flow. */
  readonly guestAddress: Uint32Array;
  /** 4 words a flow. */
  readonly peerAddress: Uint32Array;
  readonly guestPort: Uint16Array;
  readonly peerPort: Uint16Array;
  readonly protocol: Uint8Array;
  readonly #hash: KeyedHash;
  readonly #hashes: Uint32Array;
  /** Bucket → flow, at most half full; a flow sits at its home bucket or behind it without a gap. */
  readonly #buckets: Int32Array;
  readonly #mask: number;
  readonly #live: Uint8Array;
  /** Flows that were removed are a stack, so that few numbers are used again and again. */
  readonly #free: Int32Array;
  #freeCount = 0;
  /** Numbers from here on were never given out. */
  #unused = 0;

  /** @param secret 4 random words. */
  constructor(capacity: number, secret: Uint32Array) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1 << 24) {
      throw new RangeError(`a flow table holds 1 to 2^24 flows, not ${capacity}`);
    }
    this.capacity = capacity;
    this.guestAddress = new Uint32Array(4 * capacity);
    this.peerAddress = new Uint32Array(4 * capacity);
    this.guestPort = new Uint16Array(capacity);
    this.peerPort = new Uint16Array(capacity);
    this.protocol = new Uint8Array(capacity);
    this.#hash = new KeyedHash(secret);
    this.#hashes = new Uint32Array(capacity);
    let buckets = 2;
    while (buckets < 2 * capacity) buckets *= 2;
    this.#buckets = new Int32Array(buckets);
    this.#mask = buckets - 1;
    this.#live = new Uint8Array(capacity);
    this.#free = new Int32Array(capacity);
  }

  /** The flow with this key, or -1. */
  find(key: FlowKey): number {
    return this.#findHashed(key, this.#hashOf(key));
  }

  /** Adds the flow, or finds it when it is there; -1 when the table is full. */
  insert(key: FlowKey): number {
    const hash = this.#hashOf(key);
    const known = this.#findHashed(key, hash);
    if (known !== -1) return known;
    if (this.count === this.capacity) return -1;
    const flow = this.#freeCount > 0 ? this.#free[--this.#freeCount] : this.#unused++;
    const at = 4 * flow;
    for (let i = 0; i < 4; i++) {
      this.guestAddress[at + i] = key.guest[i];
      this.peerAddress[at + i] = key.peer[i];
    }
    this.guestPort[flow] = key.guestPort;
    this.peerPort[flow] = key.peerPort;
    this.protocol[flow] = key.protocol;
    this.#hashes[flow] = hash;
    this.#live[flow] = 1;
    let bucket = hash & this.#mask;
    while (this.#buckets[bucket] !== EMPTY) bucket = (bucket + 1) & this.#mask;
    this.#buckets[bucket] = flow + 1;
    this.count++;
    return flow;
  }

  /** Removes a live flow; its number may be given out again. */
  remove(flow: number): void {
    if (this.#live[flow] !== 1) throw new RangeError(`flow ${flow} is not in the table`);
    const buckets = this.#buckets;
    const mask = this.#mask;
    let hole = this.#hashes[flow] & mask;
    while (buckets[hole] !== flow + 1) hole = (hole + 1) & mask;
    // Close the gap instead of leaving a tombstone: a flow that may not stand before its home bucket stays.
    let bucket = (hole + 1) & mask;
    while (buckets[bucket] !== EMPTY) {
      const home = this.#hashes[buckets[bucket] - 1] & mask;
      if (((bucket - home) & mask) >= ((bucket - hole) & mask)) {
        buckets[hole] = buckets[bucket];
        hole = bucket;
      }
      bucket = (bucket + 1) & mask;
    }
    buckets[hole] = EMPTY;
    this.#live[flow] = 0;
    this.#free[this.#freeCount++] = flow;
    this.count--;
  }

  /** Whether `flow` is live. */
  has(flow: number): boolean {
    return this.#live[flow] === 1;
  }

  /** The live flow after `flow` in order of numbers, -1 at the end; start with -1. The flow given may be removed before. */
  next(flow: number): number {
    for (let i = flow + 1; i < this.#unused; i++) if (this.#live[i] === 1) return i;
    return -1;
  }

  #hashOf(key: FlowKey): number {
    return this.#hash.hash(key.guest, 0, key.peer, 0, key.guestPort, key.peerPort, key.protocol);
  }

  #findHashed(key: FlowKey, hash: number): number {
    const buckets = this.#buckets;
    const mask = this.#mask;
    for (let bucket = hash & mask; ; bucket = (bucket + 1) & mask) {
      if (buckets[bucket] === EMPTY) return -1;
      const flow = buckets[bucket] - 1;
      if (this.#hashes[flow] === hash && this.#matches(key, flow)) return flow;
    }
  }

  #matches(key: FlowKey, flow: number): boolean {
    if (this.guestPort[flow] !== key.guestPort || this.peerPort[flow] !== key.peerPort) return false;
    if (this.protocol[flow] !== key.protocol) return false;
    const at = 4 * flow;
    for (let i = 0; i < 4; i++) {
      if (this.guestAddress[at + i] !== key.guest[i] || this.peerAddress[at + i] !== key.peer[i]) return false;
    }
    return true;
  }
}
