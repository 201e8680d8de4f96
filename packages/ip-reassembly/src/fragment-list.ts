/** Fragments of one datagram at most: a datagram of 64 KiB over a link with an MTU of 576 has 119. */
export const FRAGMENTS_MAX = 256;

/** How a fragment relates to those of its datagram that are there. */
export const Placement = { new: 0, duplicate: 1, overlap: 2, full: 3 } as const;

/**
 * Which bytes of each datagram are there, as the ranges that came.
 *
 * RFC 815 keeps a list of the holes instead. The ranges say the same, and tell a fragment that was repeated, which does
 * no harm, from one that overlaps another (RFC 8200 section 4.5).
 */
export class FragmentList {
  readonly count: Int32Array;
  /** Bytes that are there. */
  readonly receivedBytes: Int32Array;
  /** The largest end of a fragment. */
  readonly lastEnd: Int32Array;
  readonly #first: Int32Array;
  readonly #end: Int32Array;

  constructor(capacity: number) {
    this.count = new Int32Array(capacity);
    this.receivedBytes = new Int32Array(capacity);
    this.lastEnd = new Int32Array(capacity);
    this.#first = new Int32Array(capacity * FRAGMENTS_MAX);
    this.#end = new Int32Array(capacity * FRAGMENTS_MAX);
  }

  clear(slot: number): void {
    this.count[slot] = 0;
    this.receivedBytes[slot] = 0;
    this.lastEnd[slot] = 0;
  }

  /** Adds the bytes `first` to `end - 1` to the datagram in `slot` when they are {@link Placement.new}. */
  add(slot: number, first: number, end: number): number {
    const base = slot * FRAGMENTS_MAX;
    const count = this.count[slot];
    // From the newest on: fragments mostly come in order.
    for (let i = base + count - 1; i >= base; i--) {
      if (first >= this.#end[i] || end <= this.#first[i]) continue;
      return first === this.#first[i] && end === this.#end[i] ? Placement.duplicate : Placement.overlap;
    }
    if (count === FRAGMENTS_MAX) return Placement.full;
    this.#first[base + count] = first;
    this.#end[base + count] = end;
    this.count[slot] = count + 1;
    this.receivedBytes[slot] += end - first;
    this.lastEnd[slot] = Math.max(this.lastEnd[slot], end);
    return Placement.new;
  }

  /** Behind the last byte of the fragment at the beginning of the datagram, or 0 when it is not there. */
  endOfFirst(slot: number): number {
    const base = slot * FRAGMENTS_MAX;
    for (let i = base; i < base + this.count[slot]; i++) if (this.#first[i] === 0) return this.#end[i];
    return 0;
  }
}
