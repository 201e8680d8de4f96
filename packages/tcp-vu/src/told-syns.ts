/** SYNs that are remembered. */
const CAPACITY = 64;

/** How often a SYN is answered with an ICMP error: Linux passes one over while it still works on its connect(). */
export const TELLINGS_MAX = 2;

/**
 * The newest SYNs that were answered with an ICMP error: a guest that sends the same one again and again makes nothing
 * of such errors (RFC 1122 section 4.2.3.9 lets it), and gets a RST instead of waiting for its own timeout.
 */
export class ToldSyns {
  readonly #hash: Int32Array = new Int32Array(CAPACITY);
  readonly #sequence: Int32Array = new Int32Array(CAPACITY);
  readonly #tellings: Uint8Array = new Uint8Array(CAPACITY);
  #count = 0;

  /**
   * Whether this SYN has been told {@link TELLINGS_MAX} times; if not, it is once more. A new one takes the place of the
   * oldest.
   *
   * @param hash of its addresses and ports.
   */
  add(hash: number, sequence: number): boolean {
    const known = Math.min(this.#count, CAPACITY);
    for (let i = 0; i < known; i++) {
      if (this.#hash[i] === (hash | 0) && this.#sequence[i] === (sequence | 0)) {
        if (this.#tellings[i] === TELLINGS_MAX) return true;
        this.#tellings[i]++;
        return false;
      }
    }
    this.#tellings[this.#count % CAPACITY] = 1;
    this.#hash[this.#count % CAPACITY] = hash;
    this.#sequence[this.#count % CAPACITY] = sequence;
    this.#count++;
    return false;
  }
}
