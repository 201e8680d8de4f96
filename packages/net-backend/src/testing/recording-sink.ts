import { Iov } from "@passt-ts/iov/iov";
import { memset } from "@passt-ts/iov/memset";
import { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "../frame-batch.ts";
import { Refused, type RxSink } from "../rx-sink.ts";

/** One frame that was committed to a {@link RecordingSink}: a copy of its bytes, and its offload columns. */
export interface RecordedFrame {
  /** The Ethernet frame, exactly as long as it was committed: padding is the business of a real sink. */
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly headerLength: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
  /** As the engine marked it; a guest does not see it. */
  readonly canWait?: boolean;
}

/** Everything is optional: `new RecordingSink()` is a ready sink whose frames are one entry behind a 12-byte header. */
export interface RecordingSinkOptions {
  /** Table that gets the sink's memory as a window; the sink makes its own when none is given. */
  readonly windows?: WindowTable;
  /** Frames that can be reserved at once. Default 64. */
  readonly frameCapacity?: number;
  /** Sizes of the entries of each receive buffer (element), e.g. `[12, 1514]` or `[5, 21, 40, 1500]`. Default `[65562]`. */
  readonly entryBytes?: readonly number[];
  /** Elements in the ring at the start; committed ones are gone until {@link RecordingSink.addElements}. Default Infinity. */
  readonly elements?: number;
  /** A frame may cover several elements (VIRTIO_NET_F_MRG_RXBUF). Default true; false: one element holds it all, or it is too long. */
  readonly mergeable?: boolean;
  /** Bytes in front of each Ethernet frame that belong to the sink. Default 12. */
  readonly headerLength?: number;
  readonly partialChecksum?: boolean;
  readonly segmentationBytesMax4?: number;
  readonly segmentationBytesMax6?: number;
  readonly udpSegmentationBytesMax4?: number;
  readonly udpSegmentationBytesMax6?: number;
  readonly ready?: boolean;
  /** Bytes that all reserved frames together may use. Default 4 MiB. */
  readonly memoryBytes?: number;
  /** Memory for the frames and its native address, for an engine whose system calls write into them; in place of `memoryBytes`. */
  readonly memory?: { readonly bytes: Uint8Array; readonly address: number };
  /** Scatter-gather entries that all reserved frames together may use. Default 8192. */
  readonly entryCapacity?: number;
}

/** What fresh buffers hold, so that a byte nobody wrote shows in the recorded frame. */
const POISON = 0xa5;
/** Bytes between two entries that nobody may touch. */
const GAP_BYTES = 8;
const ETHERNET_BYTES_MIN = 60;

/**
 * A fake {@link RxSink} over plain memory for tests of protocol engines.
 *
 * It behaves as a ring would: buffers of a chosen layout, a number of them, readiness that a test switches. Committed
 * frames are copied and kept until {@link RecordingSink.take}. It never throws in a call of the engine; what the
 * engine did wrong is kept in {@link RecordingSink.problems}, and {@link RecordingSink.assertSettled} throws it.
 */
export class RecordingSink implements RxSink {
  readonly frames: FrameBatch;
  readonly windows: WindowTable;
  partialChecksum: boolean;
  segmentationBytesMax4: number;
  segmentationBytesMax6: number;
  udpSegmentationBytesMax4: number;
  udpSegmentationBytesMax6: number;
  ready: boolean;
  /** Elements that can be reserved now. */
  elements: number;
  /** The engine waits for room. */
  roomWanted = false;
  /** Violations of the contract of {@link RxSink}, in plain words. */
  readonly problems: string[] = [];
  /** Frames committed and reservations refused so far. */
  committedFrames = 0;
  refusals = 0;

  readonly #entryBytes: readonly number[];
  readonly #elementBytes: number;
  readonly #mergeable: boolean;
  readonly #headerLength: number;
  readonly #window: number;
  readonly #memory: Uint8Array;
  readonly #iov: Iov;
  readonly #reservedBytes: number[] = [];
  readonly #elementsOf: number[] = [];
  readonly #memoryMark: number[] = [];
  readonly #entryMark: number[] = [];
  #memoryUsed = 0;
  /** Elements that the last frame which found no room needed. */
  #refusedElements = 0;
  /** The oldest reserved frame. */
  #oldest = 0;
  #recorded: RecordedFrame[] = [];

  constructor(options: RecordingSinkOptions = {}) {
    this.windows = options.windows ?? new WindowTable();
    this.#entryBytes = options.entryBytes ?? [65562];
    this.#elementBytes = this.#entryBytes.reduce((sum, bytes) => sum + bytes, 0);
    if (this.#elementBytes === 0) throw new RangeError("an element of a RecordingSink holds at least one byte");
    this.#mergeable = options.mergeable ?? true;
    this.#headerLength = options.headerLength ?? 12;
    this.#memory = options.memory?.bytes ?? new Uint8Array(options.memoryBytes ?? 4 * 1024 * 1024);
    this.#window = this.windows.add(this.#memory, options.memory?.address);
    this.frames = new FrameBatch(this.windows, options.frameCapacity ?? 64, options.entryCapacity ?? 8192);
    this.#iov = new Iov(this.frames.pool);
    this.partialChecksum = options.partialChecksum ?? false;
    this.segmentationBytesMax4 = options.segmentationBytesMax4 ?? 0;
    this.segmentationBytesMax6 = options.segmentationBytesMax6 ?? 0;
    this.udpSegmentationBytesMax4 = options.udpSegmentationBytesMax4 ?? 0;
    this.udpSegmentationBytesMax6 = options.udpSegmentationBytesMax6 ?? 0;
    this.ready = options.ready ?? true;
    this.elements = options.elements ?? Number.POSITIVE_INFINITY;
  }

  /** Adds buffers to the ring, as a driver does. */
  addElements(count: number): void {
    this.elements += count;
  }

  /** The frames committed since the last call, oldest first. */
  take(): RecordedFrame[] {
    const taken = this.#recorded;
    this.#recorded = [];
    return taken;
  }

  /** Reserved frames that are neither committed nor given back. */
  get reservedFrames(): number {
    return this.frames.count - this.#oldest;
  }

  /** Throws when the engine broke the contract of {@link RxSink}, or left a frame neither committed nor given back. */
  assertSettled(): void {
    const problems = [...this.problems];
    if (this.reservedFrames > 0) {
      problems.push(`${this.reservedFrames} reserved frame(s) neither committed nor given back`);
    }
    if (problems.length > 0) throw new Error(`RxSink: ${problems.join("; ")}`);
  }

  reserve(lengthBytes: number): number {
    if (!this.ready) return this.#refuse(Refused.notReady);
    const needed = Math.max(lengthBytes, ETHERNET_BYTES_MIN) + this.#headerLength;
    const elements = Math.ceil(needed / this.#elementBytes);
    if (elements > 1 && !this.#mergeable) return this.#refuse(Refused.tooLong);
    const { frames } = this;
    const { pool } = frames;
    const memoryNeeded = elements * (this.#elementBytes + this.#entryBytes.length * GAP_BYTES) + GAP_BYTES;
    if (
      elements > this.elements ||
      frames.count === frames.capacity ||
      pool.count + elements * this.#entryBytes.length > pool.capacity ||
      this.#memoryUsed + memoryNeeded > this.#memory.length
    ) {
      this.#refusedElements = elements;
      return this.#refuse(Refused.noRoom);
    }
    const index = frames.count;
    this.#reservedBytes[index] = lengthBytes;
    this.#elementsOf[index] = elements;
    this.#memoryMark[index] = this.#memoryUsed;
    this.#entryMark[index] = pool.count;
    frames.firstEntry[index] = pool.count;
    this.#memory.fill(POISON, this.#memoryUsed, this.#memoryUsed + memoryNeeded);
    let at = this.#memoryUsed + GAP_BYTES;
    for (let i = 0; i < elements; i++) {
      for (const bytes of this.#entryBytes) {
        pool.append(this.#window, at, bytes);
        at += bytes + GAP_BYTES;
      }
    }
    this.#memoryUsed += memoryNeeded;
    frames.entryCount[index] = pool.count - frames.firstEntry[index];
    frames.offset[index] = this.#headerLength;
    frames.length[index] = lengthBytes;
    frames.clearOffload(index);
    frames.canWait[index] = 0;
    frames.count = index + 1;
    this.elements -= elements;
    return index;
  }

  commit(index: number, lengthBytes: number): void {
    const { frames } = this;
    if (index !== this.#oldest || index >= frames.count) {
      this.problems.push(`commit(${index}) where the oldest reserved frame is ${this.#describeOldest()}`);
      return;
    }
    const reserved = this.#reservedBytes[index];
    if (lengthBytes > reserved) {
      this.problems.push(`commit(${index}, ${lengthBytes}) with only ${reserved} bytes reserved`);
      lengthBytes = reserved;
    } else if (lengthBytes < reserved && index !== frames.count - 1) {
      this.problems.push(`commit(${index}, ${lengthBytes}) shortens a frame of ${reserved} that is not the newest`);
    }
    frames.select(index, this.#iov);
    this.#recorded.push({
      bytes: this.#copyOut(this.#headerLength, lengthBytes),
      flags: frames.flags[index],
      gsoType: frames.gsoType[index],
      gsoSize: frames.gsoSize[index],
      headerLength: frames.headerLength[index],
      checksumStart: frames.checksumStart[index],
      checksumOffset: frames.checksumOffset[index],
      canWait: frames.canWait[index] === 1,
    });
    this.#checkOutside(index, reserved);
    const needed = Math.max(lengthBytes, ETHERNET_BYTES_MIN) + this.#headerLength;
    this.elements += this.#elementsOf[index] - Math.ceil(needed / this.#elementBytes);
    this.committedFrames++;
    this.#oldest++;
    this.#restartWhenEmpty();
  }

  giveBack(index: number): void {
    const { frames } = this;
    if (index < this.#oldest || index >= frames.count) {
      this.problems.push(`giveBack(${index}) where the oldest reserved frame is ${this.#describeOldest()}`);
      return;
    }
    for (let i = index; i < frames.count; i++) this.elements += this.#elementsOf[i];
    frames.pool.truncate(this.#entryMark[index]);
    this.#memoryUsed = this.#memoryMark[index];
    frames.count = index;
    this.#restartWhenEmpty();
  }

  wantRoom(wanted: boolean): boolean {
    this.roomWanted = wanted;
    // As a ring says it: fewer elements than the frame that waits needs are no reason to try again.
    return this.ready && this.elements >= Math.max(1, this.#refusedElements);
  }

  #refuse(reason: number): number {
    this.refusals++;
    return reason;
  }

  #describeOldest(): string {
    return this.reservedFrames === 0 ? "none" : String(this.#oldest);
  }

  #copyOut(offset: number, lengthBytes: number): Uint8Array {
    const out = new Uint8Array(lengthBytes);
    const { pool, first, count } = this.#iov;
    let done = 0;
    for (let i = first; i < first + count && done < lengthBytes; i++) {
      const skip = Math.min(offset, pool.length[i]);
      offset -= skip;
      const from = pool.offset[i] + skip;
      const take = Math.min(pool.length[i] - skip, lengthBytes - done);
      out.set(this.#memory.subarray(from, from + take), done);
      done += take;
    }
    return out;
  }

  /** Puts poison over the frame itself; any other byte of its memory that is not poison was written by mistake. */
  #checkOutside(index: number, reservedBytes: number): void {
    memset(this.#iov, this.#headerLength, POISON, reservedBytes);
    const from = this.#memoryMark[index];
    const elements = this.#elementsOf[index];
    const to = from + elements * (this.#elementBytes + this.#entryBytes.length * GAP_BYTES) + GAP_BYTES;
    for (let i = from; i < to; i++) {
      if (this.#memory[i] === POISON) continue;
      this.problems.push(`frame ${index}: a byte outside of the ${reservedBytes} reserved ones was written`);
      return;
    }
  }

  #restartWhenEmpty(): void {
    if (this.reservedFrames > 0) return;
    this.frames.clear();
    this.#memoryUsed = 0;
    this.#oldest = 0;
  }
}
