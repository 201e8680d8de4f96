import type { Iov } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import { type SendBuffer, SocketError, type TcpSocketPort } from "../socket-port.ts";

const HEADER_BYTES = 12;

/** An {@link RxSink} that forgets every frame and allocates nothing: for measuring what the engine allocates. */
export class NullSink implements RxSink {
  readonly frames: FrameBatch;
  readonly partialChecksum = true;
  readonly segmentationBytesMax4 = 0;
  readonly segmentationBytesMax6 = 0;
  readonly ready = true;
  committedFrames = 0;
  /** The Ethernet frame that was written first since there was none. */
  readonly firstFrame: DataView;
  readonly #window: number;
  readonly #frameBytesMax: number;
  #oldest = 0;

  /** @param frameBytesMax bytes that a frame may have; `frameCapacity` of them lie in a window of the sink's own. */
  constructor(windows: WindowTable, frameCapacity: number, frameBytesMax: number) {
    this.frames = new FrameBatch(windows, frameCapacity, frameCapacity);
    this.#frameBytesMax = frameBytesMax + HEADER_BYTES;
    const bytes = new Uint8Array(frameCapacity * this.#frameBytesMax);
    this.firstFrame = new DataView(bytes.buffer, HEADER_BYTES);
    this.#window = windows.add(bytes);
  }

  reserve(lengthBytes: number): number {
    const { frames } = this;
    const index = frames.count;
    if (lengthBytes + HEADER_BYTES > this.#frameBytesMax) return Refused.tooLong;
    if (index === frames.capacity) return Refused.noRoom;
    frames.firstEntry[index] = frames.pool.count;
    frames.entryCount[index] = 1;
    frames.pool.append(this.#window, index * this.#frameBytesMax, this.#frameBytesMax);
    frames.offset[index] = HEADER_BYTES;
    frames.length[index] = lengthBytes;
    frames.clearOffload(index);
    frames.canWait[index] = 0;
    frames.count = index + 1;
    return index;
  }

  commit(index: number): void {
    this.committedFrames++;
    this.#oldest = index + 1;
    this.#restartWhenEmpty();
  }

  giveBack(index: number): void {
    this.frames.pool.truncate(this.frames.firstEntry[index]);
    this.frames.count = index;
    this.#restartWhenEmpty();
  }

  wantRoom(): boolean {
    return true;
  }

  #restartWhenEmpty(): void {
    if (this.#oldest < this.frames.count) return;
    this.frames.clear();
    this.#oldest = 0;
  }
}

/** A {@link TcpSocketPort} with one connected socket that takes everything and gives {@link NullSockets.available} bytes. */
export class NullSockets implements TcpSocketPort {
  readonly peekOffset = true;
  /** Bytes that can be peeked; a peek takes from it. */
  available = 0;
  sentBytes = 0;
  consumedBytes = 0;

  connect(): number {
    return 0;
  }

  adopt(): number {
    return 0;
  }

  connectError(): number {
    return 0;
  }

  send(_socket: number, _iov: Iov, _offset: number, lengthBytes: number): number {
    this.sentBytes += lengthBytes;
    return lengthBytes;
  }

  peek(_socket: number, _iov: Iov, _offset: number, lengthBytes: number): number {
    const bytes = Math.min(lengthBytes, this.available);
    this.available -= bytes;
    return bytes > 0 ? bytes : SocketError.again;
  }

  setPeekOffset(): number {
    return 0;
  }

  consume(_socket: number, lengthBytes: number): number {
    this.consumedBytes += lengthBytes;
    return lengthBytes;
  }

  shutdownWrite(): number {
    return 0;
  }

  close(): void {}

  reset(): void {}

  unacknowledged(): number {
    return 0;
  }

  sendBuffer(_socket: number, out: SendBuffer): number {
    out.sizeBytes = 1 << 20;
    out.queuedBytes = 0;
    return 0;
  }

  armWritable(): number {
    return 1;
  }
}
