/**
 * Host to guest. How long a frame is shows only when it was read, so room is reserved for what is likely and a longer
 * frame goes on in memory of our own: it is then copied, once, to room of its own.
 */
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { gather, scatter } from "@passt-ts/iov/memcopy";
import { FrameIo } from "@passt-ts/linux/frame-io";
import { Errno } from "@passt-ts/linux/system-error";
import { TAP_DELETED_ERRNO } from "@passt-ts/linux/tap-device";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import { TapCounter } from "./tap-counter.ts";
import { isTapHeaderAllowed, isTapHeaderSegmented, readTapHeader } from "./tap-header.ts";
import { TAP_FRAME_BYTES, type TapMemory } from "./tap-memory.ts";

/** The work of one turn. */
const FRAMES_PER_TURN = 64;
const BYTES_PER_TURN: number = 1024 * 1024;

/** Room that is always reserved: a frame of the usual MTU, with a VLAN tag. */
const LIKELY_BYTES_MIN = 1518;
const LIKELY_BYTES_MAX = 65550;
/** What is likely is rounded up to a multiple of this. */
const LIKELY_STEP_BYTES = 4096;
/** A length is likely until at least so many frames were all shorter. */
const LIKELY_FRAMES = 64;
/** The shortest reservation that there is: it says whether the guest has any buffers. */
const PROBE_BYTES = 60;
/** Frames dropped by one {@link TapReceiver.drain} at most; a tap holds 500 to 1000. */
const DRAIN_FRAMES_MAX = 4096;

/** How a step of a turn ended, beside -errno. */
const Step = { done: 1, idle: 0, blocked: 2 } as const;

/** Reads frames from a tap into the guest's buffers. */
export class TapReceiver {
  /** Frames wait at the tap, as far as is known. */
  readable = false;
  readonly #counters: Float64Array;
  readonly #memory: TapMemory;
  readonly #io: FrameIo = new FrameIo();
  /** The place for a whole frame, of which one may be held there until it finds room. */
  readonly #stage: Iov;
  #heldBytes = 0;
  #sink: RxSink | null = null;
  #frame: Iov;
  #fd = -1;
  #headerLength = 0;
  #capabilities = 0;
  /** Longest of the last `#countedFrames`, what is reserved for the next one, and the most that the guest can have. */
  #longestBytes = 0;
  #countedFrames = 0;
  #likelyBytes = LIKELY_BYTES_MIN;
  #likelyBytesMax = LIKELY_BYTES_MAX;
  #waitsForRoom = false;
  #turnBytes = 0;

  constructor(memory: TapMemory, counters: Float64Array) {
    this.#counters = counters;
    this.#memory = memory;
    const pool = new IovPool(memory.windows, 1);
    pool.append(memory.window, memory.receiveAt, TAP_FRAME_BYTES);
    this.#stage = new Iov(pool, 0, 1);
    this.#frame = new Iov(pool);
  }

  attach(sink: RxSink): void {
    this.#sink = sink;
    this.#frame = new Iov(sink.frames.pool);
  }

  /** Points it at a tap, or at none (-1). @param capabilities what the guest takes, bits of `Capability`. */
  bind(fd: number, headerLength: number, capabilities: number): void {
    this.#fd = fd;
    this.#headerLength = headerLength;
    this.#capabilities = capabilities;
    this.#likelyBytesMax = LIKELY_BYTES_MAX;
    this.readable = fd >= 0;
    // The frame that is held was checked for another guest.
    if (this.#heldBytes > 0 && !this.#isHeaderAllowed()) this.#heldBytes = 0;
  }

  /** Gives the guest what waits: 1 when it stopped though there may be more, 0 when not, -errno when the tap is gone. */
  turn(): number {
    const sink = this.#sink;
    if (sink === null || this.#fd < 0 || !sink.ready) return 0;
    this.#turnBytes = 0;
    for (let step = 0; step < FRAMES_PER_TURN && this.#turnBytes < BYTES_PER_TURN; step++) {
      const result = this.#heldBytes > 0 ? this.#deliverHeld(sink) : this.#readFrame(sink);
      if (result === Step.done) continue;
      if (result === Step.blocked) {
        this.#waitsForRoom = true;
        if (!sink.wantRoom(true)) return 0;
        continue;
      }
      this.#roomFound(sink);
      return result;
    }
    this.#roomFound(sink);
    return 1;
  }

  /** Takes one frame away, the held one first: its length, 0 when none waits, or -errno. */
  discard(): number {
    const held = this.#heldBytes;
    this.#heldBytes = 0;
    if (held > 0) return held;
    if (this.#fd < 0) return 0;
    const result = this.#io.read(this.#fd, this.#headerLength, this.#stage, 0, 0, this.#stage, TAP_FRAME_BYTES);
    return result === -Errno.EAGAIN ? 0 : result;
  }

  /** Takes away all that waits: it was meant for a guest before. */
  drain(): void {
    for (let i = 0; i < DRAIN_FRAMES_MAX && this.discard() > 0; i++);
    this.#likelyBytesMax = LIKELY_BYTES_MAX;
  }

  /** Drops the frame that is held. */
  clear(): void {
    this.#heldBytes = 0;
  }

  /** The room to reserve for the next frame. */
  get #roomBytes(): number {
    return Math.min(this.#likelyBytes, this.#likelyBytesMax);
  }

  /** That much room is not to be had in these buffers: it is not asked for again. */
  #expectLess(): void {
    this.#likelyBytesMax = this.#roomBytes > LIKELY_BYTES_MIN ? LIKELY_BYTES_MIN : 0;
  }

  #roomFound(sink: RxSink): void {
    if (!this.#waitsForRoom) return;
    this.#waitsForRoom = false;
    sink.wantRoom(false);
  }

  #readFrame(sink: RxSink): number {
    if (!this.readable) return Step.idle;
    const likelyBytes = this.#roomBytes;
    let index: number = likelyBytes > 0 ? sink.reserve(likelyBytes) : Refused.tooLong;
    if (index === Refused.notReady) return Step.idle;
    if (index === Refused.tooLong) this.#expectLess();
    if (index < 0) {
      // No room for what is likely, but any room at all? The frame may be short, and its guest may add no more before.
      const probe = sink.reserve(PROBE_BYTES);
      if (probe === Refused.noRoom) return Step.blocked;
      if (probe === Refused.notReady) return Step.idle;
      if (probe >= 0) sink.giveBack(probe);
      index = -1;
    }
    return this.#readInto(sink, index, index < 0 ? 0 : likelyBytes);
  }

  /** Reads one frame to the room of `index`, or none (-1), and what is longer to the stage. */
  #readInto(sink: RxSink, index: number, roomBytes: number): number {
    const { frames } = sink;
    const offset = index < 0 ? 0 : frames.offset[index];
    const iov = index < 0 ? this.#stage : frames.select(index, this.#frame);
    const lengthBytes = this.#io.read(
      this.#fd,
      this.#headerLength,
      iov,
      offset,
      roomBytes,
      this.#stage,
      TAP_FRAME_BYTES,
    );
    if (lengthBytes > 0 && lengthBytes <= roomBytes && this.#isAllowed(lengthBytes)) {
      this.#commit(sink, index, lengthBytes);
      return Step.done;
    }
    if (lengthBytes > roomBytes && index >= 0)
      gather(iov, offset, this.#memory.window, this.#memory.receiveAt, roomBytes);
    if (index >= 0) sink.giveBack(index);
    if (lengthBytes <= 0) return this.#readFailed(lengthBytes);
    if (lengthBytes <= roomBytes || !this.#isAllowed(lengthBytes)) return Step.done;
    this.#heldBytes = lengthBytes;
    this.#counters[TapCounter.rxCopied]++;
    return this.#deliverHeld(sink);
  }

  #readFailed(result: number): number {
    if (result === -Errno.EAGAIN) {
      this.readable = false;
      return Step.idle;
    }
    if (result === -TAP_DELETED_ERRNO) return result;
    // The guest's buffers are too many pieces for one call: no frame was read.
    if (result === -Errno.EMSGSIZE) this.#expectLess();
    else this.#counters[TapCounter.rxFailed]++;
    return Step.done;
  }

  /** Checks what was read; a frame that is not allowed is counted. */
  #isAllowed(lengthBytes: number): boolean {
    this.#turnBytes += lengthBytes;
    if (lengthBytes >= TAP_FRAME_BYTES) {
      this.#counters[TapCounter.rxTooLong]++;
      return false;
    }
    if (!this.#isHeaderAllowed()) return false;
    this.#learn(lengthBytes);
    return true;
  }

  /** By frames and not by turns: many a turn reads one frame, or only an acknowledgement between two long ones. */
  #learn(lengthBytes: number): void {
    if (lengthBytes > this.#longestBytes) this.#longestBytes = lengthBytes;
    if (lengthBytes > this.#likelyBytes) this.#likelyBytes = likelyOf(lengthBytes);
    if (++this.#countedFrames < LIKELY_FRAMES) return;
    this.#likelyBytes = likelyOf(this.#longestBytes);
    this.#longestBytes = 0;
    this.#countedFrames = 0;
  }

  #isHeaderAllowed(): boolean {
    if (this.#headerLength === 0 || isTapHeaderAllowed(this.#io.header, this.#capabilities)) return true;
    this.#counters[TapCounter.rxOffload]++;
    return false;
  }

  #deliverHeld(sink: RxSink): number {
    const lengthBytes = this.#heldBytes;
    const index = sink.reserve(lengthBytes);
    if (index === Refused.noRoom) return Step.blocked;
    if (index === Refused.notReady) return Step.idle;
    this.#heldBytes = 0;
    if (index < 0) {
      this.#counters[TapCounter.rxTooLong]++;
      return Step.done;
    }
    const { frames } = sink;
    const { window, receiveAt } = this.#memory;
    scatter(frames.select(index, this.#frame), frames.offset[index], window, receiveAt, lengthBytes);
    this.#commit(sink, index, lengthBytes);
    return Step.done;
  }

  #commit(sink: RxSink, index: number, lengthBytes: number): void {
    const counters = this.#counters;
    if (this.#headerLength > 0) {
      readTapHeader(this.#io.header, this.#capabilities, sink.frames, index);
      if (isTapHeaderSegmented(this.#io.header)) counters[TapCounter.rxSegmented]++;
    }
    sink.commit(index, lengthBytes);
    counters[TapCounter.rxFrames]++;
    counters[TapCounter.rxBytes] += lengthBytes;
  }
}

/** The room to reserve where the longest frame seen has `lengthBytes` bytes. */
function likelyOf(lengthBytes: number): number {
  if (lengthBytes <= LIKELY_BYTES_MIN) return LIKELY_BYTES_MIN;
  return Math.min(Math.ceil(lengthBytes / LIKELY_STEP_BYTES) * LIKELY_STEP_BYTES, LIKELY_BYTES_MAX);
}
