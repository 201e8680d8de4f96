import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";

/**
 * Copies of frames that wait to be taken, oldest first, with the fields of their headers.
 *
 * They lie one behind the other in one range of memory, which is free again when the last one is gone: what it holds
 * is bounded, and nothing is ever moved.
 */
export class WaitingFrames {
  /** The frames; from {@link WaitingFrames.oldest} on they wait. */
  readonly frames: FrameBatch;
  readonly #window: number;
  readonly #start: number;
  readonly #end: number;
  readonly #oldest: Iov;
  #first = 0;
  #at: number;

  /** @param window and `offset`, `lengthBytes`: the range that it may use, as long as it lives. */
  constructor(windows: WindowTable, window: number, offset: number, lengthBytes: number, frameCapacity: number) {
    this.frames = new FrameBatch(windows, frameCapacity, frameCapacity);
    this.#window = window;
    this.#start = offset;
    this.#end = offset + lengthBytes;
    this.#oldest = new Iov(this.frames.pool);
    this.#at = offset;
  }

  get count(): number {
    return this.frames.count - this.#first;
  }

  /** Index in {@link WaitingFrames.frames} of the frame that has waited longest. */
  get oldest(): number {
    return this.#first;
  }

  /** The bytes of the frame that has waited longest. */
  get oldestBytes(): Iov {
    return this.frames.select(this.#first, this.#oldest);
  }

  /** Copies frame `index` of a batch, whose entries `iov` names. False when there is no place for it. */
  push(from: FrameBatch, index: number, iov: Iov): boolean {
    const { frames } = this;
    const lengthBytes = from.length[index];
    if (frames.count === frames.capacity || this.#at + lengthBytes > this.#end) return false;
    const to = frames.count;
    frames.firstEntry[to] = frames.pool.count;
    frames.entryCount[to] = 1;
    frames.offset[to] = 0;
    frames.length[to] = gather(iov, from.offset[index], this.#window, this.#at, lengthBytes);
    frames.pool.append(this.#window, this.#at, lengthBytes);
    frames.flags[to] = from.flags[index];
    frames.gsoType[to] = from.gsoType[index];
    frames.gsoSize[to] = from.gsoSize[index];
    frames.headerLength[to] = from.headerLength[index];
    frames.checksumStart[to] = from.checksumStart[index];
    frames.checksumOffset[to] = from.checksumOffset[index];
    frames.count = to + 1;
    this.#at += lengthBytes;
    return true;
  }

  /** Forgets the frame that has waited longest. */
  shift(): void {
    this.#first++;
    if (this.#first === this.frames.count) this.clear();
  }

  /** Forgets all. */
  clear(): void {
    this.frames.clear();
    this.#first = 0;
    this.#at = this.#start;
  }
}
