const GOLDEN = 0x9e37_79b9;

/** Numbers from a seed: the same ones each time, everywhere (xorshift32 over a mixed seed). */
export class Random {
  #state: number;

  constructor(seed: number, round = 0) {
    let mixed = Math.imul(seed ^ GOLDEN, 0x85eb_ca6b) ^ Math.imul(round + 1, 0xc2b2_ae35);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d);
    this.#state = (mixed ^ (mixed >>> 13)) | 1;
  }

  /** An unsigned number of 32 bits, never 0. */
  word(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** From 0 up to `end`, which is not among them. */
  below(end: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * end);
  }

  chance(probability: number): boolean {
    return this.word() < probability * 0x1_0000_0000;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  /** Small mostly, `max` seldom. */
  few(max: number): number {
    return Math.floor(max ** (this.word() / 0x1_0000_0000));
  }
}
