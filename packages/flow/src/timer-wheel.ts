import { SlotLists } from "./slot-list.ts";

const LEVELS = 4;
const LEVEL_BITS = 6;
const LEVEL_SLOTS = 1 << LEVEL_BITS;
const BUCKETS = LEVELS * LEVEL_SLOTS;
/** Behind the buckets: timers that are due, and timers of a later block. */
const DUE = BUCKETS;
const LATER = BUCKETS + 1;
/** One block is what all levels cover: 2^24 ms, 4.6 h. */
const BLOCK_MS = 1 << (LEVELS * LEVEL_BITS);

/**
 * Timers of 1 ms resolution, one for each slot (flow number), in a hierarchy of wheels.
 *
 * Scheduling and cancelling take constant time; nothing is allocated after construction, and room for slots that were
 * never used costs no resident memory. A timer never expires early,
 * and less than 1 ms late.
 */
export class TimerWheel {
  readonly #lists: SlotLists;
  /** Of slots that sit on a list. */
  readonly #atMs: Float64Array;
  /** Bit `i` of the two words of a level: bucket `i` of it is not empty. */
  readonly #occupied: Uint32Array = new Uint32Array(2 * LEVELS);
  /** When the current block began, in whole ms. */
  #blockMs: number;
  /** The present, in ms from the beginning of the block. */
  #tick = 0;

  /** @param nowMs monotonic time. */
  constructor(capacity: number, nowMs: number) {
    this.#lists = new SlotLists(capacity, BUCKETS + 2);
    this.#atMs = new Float64Array(capacity);
    this.#blockMs = Math.floor(nowMs);
  }

  /** Sets the timer of `slot`, in place of the one it had; Infinity cancels. */
  schedule(slot: number, atMs: number): void {
    this.cancel(slot);
    if (atMs === Infinity) return;
    this.#atMs[slot] = Math.ceil(atMs);
    this.#place(slot);
  }

  /** When the timer of `slot` is due, in whole ms; Infinity when it has none. */
  scheduledMs(slot: number): number {
    return this.#lists.listOf(slot) === -1 ? Infinity : this.#atMs[slot];
  }

  cancel(slot: number): void {
    const list = this.#lists.listOf(slot);
    if (list === -1) return;
    this.#lists.remove(slot);
    if (list < BUCKETS && this.#lists.lengths[list] === 0) this.#occupied[list >>> 5] &= ~(1 << (list & 31));
  }

  /** Takes one due slot, in order of their times, or -1 when none is due; call until -1. */
  expire(nowMs: number): number {
    const now = Math.floor(nowMs);
    for (;;) {
      const slot = this.#lists.takeFirst(DUE);
      if (slot !== -1) return slot;
      const bucket = this.#nextBucket();
      const at = this.#startMs(bucket);
      if (at > now) {
        if (now > this.#blockMs + this.#tick) this.#advance(now);
        return -1;
      }
      this.#advance(at);
      this.#empty(bucket);
    }
  }

  /** When {@link TimerWheel.expire} must be called: may be too early, never too late; Infinity without timers. */
  get deadlineMs(): number {
    if (this.#lists.lengths[DUE] > 0) return this.#blockMs + this.#tick;
    return this.#startMs(this.#nextBucket());
  }

  /** Puts every slot of `bucket`, whose time has come, where it belongs now. */
  #empty(bucket: number): void {
    if (bucket < BUCKETS) this.#occupied[bucket >>> 5] &= ~(1 << (bucket & 31));
    for (let left = this.#lists.lengths[bucket]; left > 0; left--) this.#place(this.#lists.takeFirst(bucket));
  }

  #place(slot: number): void {
    const at = this.#atMs[slot] - this.#blockMs;
    if (at <= this.#tick) {
      this.#lists.append(DUE, slot);
      return;
    }
    if (at >= BLOCK_MS) {
      this.#lists.append(LATER, slot);
      return;
    }
    // The highest digit in which the two times differ is the level: all buckets of a level lie in the future.
    const level = ((31 - Math.clz32(at ^ this.#tick)) / LEVEL_BITS) | 0;
    const bucket = level * LEVEL_SLOTS + ((at >>> (level * LEVEL_BITS)) & (LEVEL_SLOTS - 1));
    this.#lists.append(bucket, slot);
    this.#occupied[bucket >>> 5] |= 1 << (bucket & 31);
  }

  /** The list whose time comes first, or -1: a bucket of a lower level comes before all of the higher ones. */
  #nextBucket(): number {
    for (let word = 0; word < 2 * LEVELS; word++) {
      const bits = this.#occupied[word];
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
    }
    return this.#lists.lengths[LATER] > 0 ? LATER : -1;
  }

  #startMs(bucket: number): number {
    if (bucket === -1) return Infinity;
    if (bucket === LATER) return this.#blockMs + BLOCK_MS;
    const level = (bucket / LEVEL_SLOTS) | 0;
    const shift = level * LEVEL_BITS;
    const above = shift + LEVEL_BITS;
    return this.#blockMs + (((this.#tick >>> above) << above) | ((bucket & (LEVEL_SLOTS - 1)) << shift));
  }

  #advance(toMs: number): void {
    const blocks = Math.floor((toMs - this.#blockMs) / BLOCK_MS);
    this.#blockMs += blocks * BLOCK_MS;
    this.#tick = toMs - this.#blockMs;
  }
}
