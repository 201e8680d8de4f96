import type { WindowTable } from "./windows.ts";

/**
 * A pool of scatter-gather entries in parallel arrays: entry `i` is the `length[i]` bytes at `offset[i]` of window
 * `window[i]`.
 *
 * The owner appends; whoever is handed a range of the pool reads. An entry may be empty.
 */
export class IovPool {
  readonly windows: WindowTable;
  readonly capacity: number;
  readonly window: Uint16Array;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  /** Entries in use. */
  count = 0;

  constructor(windows: WindowTable, capacity: number) {
    this.windows = windows;
    this.capacity = capacity;
    this.window = new Uint16Array(capacity);
    this.offset = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
  }

  /** Appends one entry; false, and nothing changed, when the pool is full. */
  append(window: number, offset: number, lengthBytes: number): boolean {
    const at = this.count;
    if (at === this.capacity) return false;
    this.window[at] = window;
    this.offset[at] = offset;
    this.length[at] = lengthBytes;
    this.count = at + 1;
    return true;
  }

  /** Drops every entry from `count` on. */
  truncate(count: number): void {
    if (count < this.count) this.count = count;
  }
}

/**
 * A scatter-gather list: entries `first` to `first + count - 1` of a pool.
 *
 * It is a cursor over a pool that its owner points at one frame after another, so that no list is made for each frame.
 * How many bytes the entries could hold says nothing about how long the data in them is: every operation takes an
 * offset and a length.
 */
export class Iov {
  readonly pool: IovPool;
  first: number;
  count: number;

  constructor(pool: IovPool, first = 0, count = 0) {
    this.pool = pool;
    this.first = first;
    this.count = count;
  }

  /** Points the list at another range of its pool. */
  select(first: number, count: number): this {
    this.first = first;
    this.count = count;
    return this;
  }
}

/** The bytes that the entries of `iov` can hold together. */
export function capacityOf(iov: Iov): number {
  const { length } = iov.pool;
  const end = iov.first + iov.count;
  let total = 0;
  for (let i = iov.first; i < end; i++) total += length[i];
  return total;
}

/** The longest contiguous run from `offset`, in bytes: 0 at or behind the end. */
export function contiguousAt(iov: Iov, offset: number): number {
  const { length } = iov.pool;
  const end = iov.first + iov.count;
  for (let i = iov.first; i < end; i++) {
    if (offset < length[i]) return length[i] - offset;
    offset -= length[i];
  }
  return 0;
}

/**
 * Appends to `to` the entries that cover `lengthBytes` bytes of `from` from `offset` on, empty ones left out.
 *
 * Returns the bytes covered: fewer when `from` ends earlier. When `to` has no room for all of them it stays as it was
 * and the answer is -1. Both pools must share one window table.
 */
export function appendRange(to: IovPool, from: Iov, offset: number, lengthBytes: number): number {
  const { window, offset: offsets, length } = from.pool;
  const end = from.first + from.count;
  const mark = to.count;
  let left = lengthBytes;
  for (let i = from.first; i < end && left > 0; i++) {
    const entryBytes = length[i];
    if (offset >= entryBytes) {
      offset -= entryBytes;
      continue;
    }
    const take = Math.min(entryBytes - offset, left);
    if (!to.append(window[i], offsets[i] + offset, take)) {
      to.truncate(mark);
      return -1;
    }
    left -= take;
    offset = 0;
  }
  return lengthBytes - left;
}
