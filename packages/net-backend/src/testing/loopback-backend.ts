import { Iov } from "@passt-ts/iov/iov";
import { gather, scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend, NetHeaderLength } from "../backend.ts";
import { FrameBatch } from "../frame-batch.ts";
import { isNetHeaderLength } from "../header-length.ts";
import { Refused, type RxSink } from "../rx-sink.ts";

const FRAME_BYTES_MAX = 65550;
/** All `takes...` bits of `Capability`. */
const TAKES = 15;
/** Shift from a `takes...` bit to the `gives...` bit of the same offload. */
const GIVES_SHIFT = 4;

/** Sizes of a {@link LoopbackBackend}. */
export interface LoopbackOptions {
  /** Frames that can wait. Default 32. */
  readonly waitingFrames?: number;
  /** Most frames given to the guest in one turn. Default 16. */
  readonly framesPerTurn?: number;
}

/**
 * A back-end that gives every frame back to the guest that sent it: the shortest one that keeps the contract.
 *
 * `send` copies frames to a queue of its own, `turn` moves them to the sink. It carries offloads only from a guest
 * that takes them as well.
 */
export class LoopbackBackend implements NetBackend {
  readonly capabilities: number = 255;
  readonly deadlineMs: number = Number.POSITIVE_INFINITY;
  headerLength: NetHeaderLength = 0;
  carriedFrames = 0;
  droppedFrames = 0;

  readonly #windows: WindowTable;
  readonly #slots: FrameBatch;
  readonly #window: number;
  readonly #framesPerTurn: number;
  #to: Iov | null = null;
  #sink: RxSink | null = null;
  #first = 0;
  #waiting = 0;
  #closed = false;

  /** @param windows the table of the frames that it will be sent; it adds a window of its own until `close`. */
  constructor(windows: WindowTable, options: LoopbackOptions = {}) {
    const slots = options.waitingFrames ?? 32;
    this.#windows = windows;
    this.#framesPerTurn = options.framesPerTurn ?? 16;
    this.#window = windows.add(new Uint8Array(slots * FRAME_BYTES_MAX));
    this.#slots = new FrameBatch(windows, slots, slots);
    for (let i = 0; i < slots; i++) {
      this.#slots.pool.append(this.#window, i * FRAME_BYTES_MAX, FRAME_BYTES_MAX);
      this.#slots.firstEntry[i] = i;
      this.#slots.entryCount[i] = 1;
    }
  }

  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number {
    if (!isNetHeaderLength(headerLength)) return -1;
    const taken = capabilities & TAKES;
    if (((capabilities >> GIVES_SHIFT) & taken) !== taken) return -1;
    this.headerLength = headerLength;
    return 0;
  }

  get full(): boolean {
    return this.#waiting === this.#slots.capacity;
  }

  attach(sink: RxSink): void {
    this.#sink = sink;
    this.#to = new Iov(sink.frames.pool);
  }

  send(frames: FrameBatch, count: number): void {
    if (this.#closed) return;
    const slots = this.#slots;
    const iov = new Iov(frames.pool);
    for (let i = 0; i < count; i++) {
      if (this.#waiting === slots.capacity || frames.length[i] > FRAME_BYTES_MAX) {
        this.droppedFrames++;
        continue;
      }
      const slot = (this.#first + this.#waiting++) % slots.capacity;
      slots.length[slot] = frames.length[i];
      gather(frames.select(i, iov), frames.offset[i], this.#window, slot * FRAME_BYTES_MAX, frames.length[i]);
      copyOffload(slots, slot, frames, i);
    }
  }

  turn(_nowMs: number): boolean {
    const sink = this.#sink;
    if (sink === null) return false;
    const wasFull = this.full;
    for (let i = 0; i < this.#framesPerTurn && this.#waiting > 0; i++) {
      const lengthBytes = this.#slots.length[this.#first];
      const index = sink.reserve(lengthBytes);
      if (index === Refused.noRoom) {
        if (!sink.wantRoom(true)) return wasFull && !this.full;
        continue;
      }
      if (index === Refused.notReady) return wasFull && !this.full;
      if (index >= 0) this.#deliver(sink, index, lengthBytes);
      else this.droppedFrames++;
      this.#drop();
    }
    if (this.#waiting > 0) return true;
    sink.wantRoom(false);
    return wasFull;
  }

  reset(_nowMs: number): void {
    this.#waiting = 0;
  }

  discard(): number {
    if (this.#waiting === 0) return 0;
    const lengthBytes = this.#slots.length[this.#first];
    this.#drop();
    return lengthBytes;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = 0;
    this.#windows.remove(this.#window);
  }

  #deliver(sink: RxSink, index: number, lengthBytes: number): void {
    const { frames } = sink;
    const to = frames.select(index, this.#to as Iov);
    scatter(to, frames.offset[index], this.#window, this.#first * FRAME_BYTES_MAX, lengthBytes);
    copyOffload(frames, index, this.#slots, this.#first);
    sink.commit(index, lengthBytes);
    this.carriedFrames++;
  }

  #drop(): void {
    this.#first = (this.#first + 1) % this.#slots.capacity;
    this.#waiting--;
  }
}

function copyOffload(to: FrameBatch, toIndex: number, from: FrameBatch, fromIndex: number): void {
  to.flags[toIndex] = from.flags[fromIndex];
  to.gsoType[toIndex] = from.gsoType[fromIndex];
  to.gsoSize[toIndex] = from.gsoSize[fromIndex];
  to.headerLength[toIndex] = from.headerLength[fromIndex];
  to.checksumStart[toIndex] = from.checksumStart[fromIndex];
  to.checksumOffset[toIndex] = from.checksumOffset[fromIndex];
}
