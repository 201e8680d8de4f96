/**
 * Guest to host. The guest writes the frames; the device has checked that they lie in its memory and that their header
 * fields fit them, and the host checks both once more. What it refuses costs that one frame.
 */
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import { FrameIo } from "@passt-ts/linux/frame-io";
import { Errno } from "@passt-ts/linux/system-error";
import { TAP_DELETED_ERRNO } from "@passt-ts/linux/tap-device";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { TapCounter } from "./tap-counter.ts";
import { writeTapHeader } from "./tap-header.ts";
import { TAP_FRAME_BYTES, type TapMemory, WAITING_FRAMES_MAX } from "./tap-memory.ts";
import { WaitingFrames } from "./waiting-frames.ts";

/** Writes frames to a tap, in order; those that it does not take now wait as copies. */
export class TapSender {
  /** Length of the tap's own header. */
  headerLength = 0;
  /** The tap takes frames, as far as is known. */
  writable = false;
  readonly #counters: Float64Array;
  readonly #memory: TapMemory;
  readonly #io: FrameIo = new FrameIo();
  readonly #waiting: WaitingFrames;
  readonly #gathered: Iov;
  #frame: Iov;
  #fd = -1;

  constructor(memory: TapMemory, counters: Float64Array) {
    const { windows, window, sendAt, waitingAt, waitingBytes } = memory;
    this.#counters = counters;
    this.#memory = memory;
    this.#waiting = new WaitingFrames(windows, window, waitingAt, waitingBytes, WAITING_FRAMES_MAX);
    const pool = new IovPool(windows, 1);
    pool.append(window, sendAt, TAP_FRAME_BYTES);
    this.#gathered = new Iov(pool, 0, 1);
    this.#frame = new Iov(pool);
  }

  /** Points it at a tap, or at none (-1); frames that wait stay. */
  bind(fd: number, headerLength: number): void {
    this.#fd = fd;
    this.headerLength = headerLength;
    this.writable = fd >= 0;
  }

  /** Frames wait for the tap. */
  get waits(): boolean {
    return this.#waiting.count > 0;
  }

  /**
   * Writes the first `count` frames of a batch. The frames that were written, now or from those that waited, or -errno
   * when the interface takes none at all: -EIO while it is down, -EBADFD when it is gone. All others are dropped then.
   */
  send(frames: FrameBatch, count: number): number {
    if (this.#frame.pool !== frames.pool) this.#frame = new Iov(frames.pool);
    let done = this.flush();
    if (done < 0) return this.#lose(count, done);
    for (let index = 0; index < count; index++) {
      const result = this.writable ? this.#write(frames, index, this.#frame) : -Errno.EAGAIN;
      if (result >= 0) done++;
      else if (result === -Errno.EAGAIN) this.#wait(frames, index);
      else if (isLinkError(result)) return this.#lose(count - index, result);
    }
    return done;
  }

  /** Writes what waits, as far as the tap takes it. The frames written, or -errno as {@link TapSender.send}. */
  flush(): number {
    const waiting = this.#waiting;
    let done = 0;
    while (waiting.count > 0 && this.writable) {
      const result = this.#write(waiting.frames, waiting.oldest, waiting.oldestBytes);
      if (result === -Errno.EAGAIN) break;
      if (isLinkError(result)) return this.#lose(0, result);
      if (result >= 0) done++;
      waiting.shift();
    }
    return done;
  }

  /** Drops `count` frames and all that wait, because the interface takes none. */
  #lose(count: number, result: number): number {
    this.#counters[TapCounter.txLinkDown] += count + this.#waiting.count;
    this.#waiting.clear();
    return result;
  }

  /** Counts frames of a batch that cannot go anywhere. */
  dropAll(count: number): void {
    this.#lose(count, 0);
  }

  /** Forgets what waits, uncounted: its guest is gone. */
  clear(): void {
    this.#waiting.clear();
  }

  #wait(frames: FrameBatch, index: number): void {
    const iov = frames.select(index, this.#frame);
    this.#counters[this.#waiting.push(frames, index, iov) ? TapCounter.txWaited : TapCounter.txFull]++;
  }

  /** Writes one frame. 0, or -errno; all but -EAGAIN and what concerns the interface is counted as refused. */
  #write(frames: FrameBatch, index: number, iov: Iov): number {
    const counters = this.#counters;
    const lengthBytes = frames.length[index];
    frames.select(index, iov);
    if (this.headerLength > 0) writeTapHeader(this.#io.header, frames, index);
    let result = this.#io.write(this.#fd, this.headerLength, iov, frames.offset[index], lengthBytes);
    if (result === -Errno.EMSGSIZE) result = this.#writeGathered(iov, frames.offset[index], lengthBytes);
    if (result === lengthBytes) {
      counters[TapCounter.txFrames]++;
      counters[TapCounter.txBytes] += lengthBytes;
      if (frames.gsoType[index] !== 0) counters[TapCounter.txSegmented]++;
      return 0;
    }
    if (result === -Errno.EAGAIN) this.writable = false;
    else if (!isLinkError(result)) counters[TapCounter.txRefused]++;
    return Math.min(result, -1);
  }

  #writeGathered(iov: Iov, offset: number, lengthBytes: number): number {
    const { window, sendAt } = this.#memory;
    if (lengthBytes > TAP_FRAME_BYTES) return -Errno.EINVAL;
    const gathered = gather(iov, offset, window, sendAt, lengthBytes);
    this.#counters[TapCounter.txGathered]++;
    return this.#io.write(this.#fd, this.headerLength, this.#gathered, 0, gathered);
  }
}

function isLinkError(result: number): boolean {
  return result === -Errno.EIO || result === -TAP_DELETED_ERRNO;
}
