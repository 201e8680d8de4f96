/** What the columns hold is one more than they mean, so that a slot never used has touched no memory. */
const NONE = 0;

/**
 * Several first-in first-out lists over one set of slots (flow numbers): a slot sits on one list or on none.
 *
 * All operations take constant time and allocate nothing. Room for slots that were never used costs no resident memory.
 */
export class SlotLists {
  /** Slots on each list. */
  readonly lengths: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #list: Int16Array;
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;

  /**
   * @param capacity slots, numbered from 0.
   * @param listCount lists, numbered from 0.
   */
  constructor(capacity: number, listCount: number) {
    this.lengths = new Int32Array(listCount);
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
    this.#list = new Int16Array(capacity);
    this.#heads = new Int32Array(listCount);
    this.#tails = new Int32Array(listCount);
  }

  /** The list that `slot` sits on, or -1. */
  listOf(slot: number): number {
    return this.#list[slot] - 1;
  }

  /** The oldest slot of `list`, or -1. */
  first(list: number): number {
    return this.#heads[list] - 1;
  }

  /** The slot behind `slot` on its list, or -1. */
  next(slot: number): number {
    return this.#next[slot] - 1;
  }

  /** Puts `slot` at the end of `list`, off the list it sat on; a slot that is on `list` already keeps its place. */
  append(list: number, slot: number): void {
    if (this.#list[slot] === list + 1) return;
    this.remove(slot);
    const tail = this.#tails[list];
    this.#previous[slot] = tail;
    if (tail === NONE) this.#heads[list] = slot + 1;
    else this.#next[tail - 1] = slot + 1;
    this.#tails[list] = slot + 1;
    this.#list[slot] = list + 1;
    this.lengths[list]++;
  }

  /** Takes the oldest slot off `list`; -1 when the list is empty. */
  takeFirst(list: number): number {
    const slot = this.#heads[list] - 1;
    if (slot !== -1) this.remove(slot);
    return slot;
  }

  /** Takes `slot` off the list it sits on, if any. */
  remove(slot: number): void {
    const list = this.#list[slot] - 1;
    if (list === -1) return;
    const next = this.#next[slot];
    const previous = this.#previous[slot];
    if (previous === NONE) this.#heads[list] = next;
    else this.#next[previous - 1] = next;
    if (next === NONE) this.#tails[list] = previous;
    else this.#previous[next - 1] = previous;
    this.#next[slot] = NONE;
    this.#previous[slot] = NONE;
    this.#list[slot] = NONE;
    this.lengths[list]--;
  }
}
