import { Iov, IovPool } from "../iov.ts";
import { WindowTable } from "../windows.ts";

/** What memory holds that nobody wrote. */
export const POISON = 0xa5;

const GAP_BYTES = 3;

/**
 * A scatter-gather list over memory of its own, for tests: entries of the given sizes lie in several windows, out of
 * order and with gaps between them, all of it poisoned.
 */
export class Scattered {
  readonly windows: WindowTable;
  readonly iov: Iov;
  readonly sizeBytes: number;
  readonly #own: number[] = [];

  /**
   * @param sizes bytes of each entry; 0 is allowed.
   * @param windows table to add the windows to, for two lists that are copied between.
   * @param before entries of the same pool in front of the list, which nothing may touch.
   */
  constructor(sizes: readonly number[], windows: WindowTable = new WindowTable(), before = 1) {
    this.windows = windows;
    this.sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
    const room = this.sizeBytes + (sizes.length + 1) * GAP_BYTES;
    for (let i = 0; i < 3; i++) this.#own.push(windows.add(new Uint8Array(room).fill(POISON)));
    const pool = new IovPool(windows, sizes.length + before + 1);
    for (let i = 0; i < before; i++) pool.append(this.#own[0], 0, GAP_BYTES);
    const ends = this.#own.map(() => room - GAP_BYTES);
    for (const [i, size] of sizes.entries()) {
      const part = i % this.#own.length;
      ends[part] -= size;
      pool.append(this.#own[part], ends[part], size);
      ends[part] -= GAP_BYTES;
    }
    pool.append(this.#own[0], 0, GAP_BYTES);
    this.iov = new Iov(pool, before, sizes.length);
  }

  /** All bytes of the list in order. */
  read(): Uint8Array {
    const { pool, first, count } = this.iov;
    const flat: number[] = [];
    for (let i = first; i < first + count; i++) {
      for (let j = 0; j < pool.length[i]; j++) flat.push(this.windows.bytes[pool.window[i]][pool.offset[i] + j]);
    }
    return Uint8Array.from(flat);
  }

  /** Sets the bytes of the list, in order, byte by byte. */
  write(flat: Uint8Array): void {
    const { pool, first, count } = this.iov;
    let at = 0;
    for (let i = first; i < first + count; i++) {
      for (let j = 0; j < pool.length[i]; j++) this.windows.bytes[pool.window[i]][pool.offset[i] + j] = flat[at++];
    }
  }

  /** Whether every byte of the memory that is not in the list still holds {@link POISON}. */
  untouchedOutside(): boolean {
    const kept = this.read();
    this.write(new Uint8Array(kept.length).fill(POISON));
    const clean = this.#own.every((window) => this.windows.bytes[window].every((byte) => byte === POISON));
    this.write(kept);
    return clean;
  }
}
