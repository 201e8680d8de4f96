/** The most addresses that are remembered; a guest with more loses the oldest. */
const CAPACITY = 16;

/**
 * Addresses that the guest showed to be its own, beside those that it was given: it may have several, or machines of
 * its own on a bridge, and we must not answer for any of them.
 *
 * The guest writes what is remembered; by claiming an address it only loses the way to that address.
 */
export class ClaimedAddresses {
  readonly #words = new Uint32Array(4 * CAPACITY);
  #count = 0;
  #next = 0;

  /** Remembers the address in words `at` to `at + 3` of `words`. */
  claim(words: Uint32Array, at: number): void {
    if (this.has(words, at)) return;
    for (let i = 0; i < 4; i++) this.#words[4 * this.#next + i] = words[at + i];
    this.#next = (this.#next + 1) % CAPACITY;
    if (this.#count < CAPACITY) this.#count++;
  }

  /** Whether the address in words `at` to `at + 3` of `words` is remembered. */
  has(words: Uint32Array, at: number): boolean {
    const claimed = this.#words;
    for (let own = 0; own < 4 * this.#count; own += 4) {
      if (
        claimed[own + 3] === words[at + 3] &&
        claimed[own] === words[at] &&
        claimed[own + 1] === words[at + 1] &&
        claimed[own + 2] === words[at + 2]
      ) {
        return true;
      }
    }
    return false;
  }

  /** Forgets all: there is a new guest, or it was given a new address. */
  clear(): void {
    this.#count = 0;
    this.#next = 0;
  }
}
