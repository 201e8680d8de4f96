/**
 * The keyed hash of a flow's key.
 *
 * The guest and remote hosts choose the bytes that are hashed. The secret keeps them from choosing keys that all fall
 * into one bucket, or from computing a sequence number.
 */

const ROUNDS_END = 3;

/** Reused state of one hash: a number that leaves a function in a field costs no allocation. */
export class KeyedHash {
  readonly #secret: Uint32Array;

  /** @param secret 4 random words. */
  constructor(secret: Uint32Array) {
    if (secret.length !== 4) throw new RangeError(`the secret is 4 words, not ${secret.length}`);
    this.#secret = secret.slice();
  }

  /**
   * Hashes two 4-word addresses, two ports and a number (the IP protocol) to 32 bits, as an unsigned number.
   *
   * HalfSipHash-1-3 (https://github.com/veorq/SipHash), with all four words of the state keyed.
   */
  hash(
    guest: Uint32Array,
    guestAt: number,
    peer: Uint32Array,
    peerAt: number,
    guestPort: number,
    peerPort: number,
    protocol: number,
  ): number {
    let v0 = this.#secret[0] | 0;
    let v1 = this.#secret[1] | 0;
    let v2 = 0x6c796765 ^ this.#secret[2];
    let v3 = 0x74656462 ^ this.#secret[3];
    for (let i = 0; i < 10; i++) {
      let word: number;
      if (i < 4) word = guest[guestAt + i] | 0;
      else if (i < 8) word = peer[peerAt + i - 4] | 0;
      else word = i === 8 ? (guestPort << 16) | peerPort : (40 << 24) | protocol;
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    v2 ^= 0xff;
    for (let round = 0; round < ROUNDS_END; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    return (v1 ^ v3) >>> 0;
  }
}
