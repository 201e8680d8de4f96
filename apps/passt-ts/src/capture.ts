import { sumBytes } from "@passt-ts/checksum/sum";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { memcopy } from "@passt-ts/iov/memcopy";
import { memset } from "@passt-ts/iov/memset";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend, NetHeaderLength } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import type { PcapWriter } from "@passt-ts/pcap/writer";
import { VirtioNetFlag } from "@passt-ts/wire/virtio-net-header";

/** The longest frame captured: 64 KiB of IP and an Ethernet header. */
const FRAME_BYTES_MAX = 65536 + 14;
/** Ethernet's shortest frame without its check sequence; the way to the guest pads to it. */
const FRAME_BYTES_MIN = 60;
/** Where a UDP header has its checksum; there 0 means none (RFC 768), in TCP it is a sum like any other. */
const UDP_CHECKSUM_OFFSET = 6;

/** Sees every frame that passes, and changes none. */
export interface FrameObserver {
  /** Frame `index` of `frames`, which is `lengthBytes` bytes long. */
  record(frames: FrameBatch, index: number, lengthBytes: number, toGuest: boolean): void;
  flush(): void;
}

/**
 * A capture of frames in both directions.
 *
 * A record is what would have been on a wire: exactly the frame's length, and a checksum that the two sides left
 * partial is completed in the record (never in the guest's memory).
 */
export class Capture implements FrameObserver {
  readonly #writer: PcapWriter;
  readonly #epochMs: () => number;
  readonly #windows: WindowTable;
  readonly #staged: Iov;
  readonly #stagedWindow: number;
  #frame: Iov | null = null;

  /** @param epochMs the time of day in milliseconds since 1970, with fractions. */
  constructor(writer: PcapWriter, windows: WindowTable, epochMs: () => number) {
    this.#writer = writer;
    this.#windows = windows;
    this.#epochMs = epochMs;
    this.#stagedWindow = windows.add(new Uint8Array(FRAME_BYTES_MAX));
    const pool = new IovPool(windows, 1);
    pool.append(this.#stagedWindow, 0, FRAME_BYTES_MAX);
    this.#staged = new Iov(pool, 0, 1);
  }

  /** Frames captured. */
  get records(): number {
    return this.#writer.records;
  }

  /** Writes frame `index` of `frames` as a record of `lengthBytes` bytes. */
  record(frames: FrameBatch, index: number, lengthBytes: number): void {
    const epochMs = this.#epochMs();
    const seconds = Math.floor(epochMs / 1000);
    const microseconds = Math.floor((epochMs - seconds * 1000) * 1000);
    if (this.#frame === null || this.#frame.pool !== frames.pool) this.#frame = new Iov(frames.pool);
    const frame = frames.select(index, this.#frame);
    if ((frames.flags[index] & VirtioNetFlag.needsChecksum) === 0 || lengthBytes > FRAME_BYTES_MAX) {
      this.#writer.write(frame, frames.offset[index], lengthBytes, seconds, microseconds);
      return;
    }
    memcopy(this.#staged, 0, frame, frames.offset[index], lengthBytes);
    this.#completeChecksum(frames.checksumStart[index], frames.checksumOffset[index], lengthBytes);
    this.#writer.write(this.#staged, 0, lengthBytes, seconds, microseconds);
  }

  flush(): void {
    this.#writer.flush();
  }

  #completeChecksum(start: number, offset: number, lengthBytes: number): void {
    if (start + offset + 2 > lengthBytes) return;
    const view = this.#windows.views[this.#stagedWindow];
    const sum = ~sumBytes(view, start, lengthBytes) & 0xffff;
    view.setUint16(start + offset, sum === 0 && offset === UDP_CHECKSUM_OFFSET ? 0xffff : sum);
  }
}

/** A back-end that shows what passes to an observer and otherwise is the one it wraps. */
export class CapturingBackend implements NetBackend {
  readonly #inner: NetBackend;
  readonly #capture: FrameObserver;

  constructor(inner: NetBackend, capture: FrameObserver) {
    this.#inner = inner;
    this.#capture = capture;
  }

  get capabilities(): number {
    return this.#inner.capabilities;
  }

  get deadlineMs(): number {
    return this.#inner.deadlineMs;
  }

  get full(): boolean {
    return this.#inner.full === true;
  }

  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number {
    return this.#inner.setCapabilities(capabilities, headerLength);
  }

  attach(sink: RxSink): void {
    this.#inner.attach(new CapturingSink(sink, this.#capture));
  }

  send(frames: FrameBatch, count: number, nowMs: number): void {
    for (let index = 0; index < count; index++) this.#capture.record(frames, index, frames.length[index], false);
    this.#inner.send(frames, count, nowMs);
  }

  turn(nowMs: number): boolean {
    return this.#inner.turn(nowMs);
  }

  reset(nowMs: number): void {
    this.#inner.reset(nowMs);
  }

  discard(): number {
    return this.#inner.discard();
  }

  close(): void {
    this.#inner.close();
    this.#capture.flush();
  }
}

/** The way to the guest, where the observer sees every frame committed. */
class CapturingSink implements RxSink {
  readonly #inner: RxSink;
  readonly #capture: FrameObserver;
  readonly #frame: Iov;

  constructor(inner: RxSink, capture: FrameObserver) {
    this.#inner = inner;
    this.#capture = capture;
    this.#frame = new Iov(inner.frames.pool);
  }

  get frames(): FrameBatch {
    return this.#inner.frames;
  }

  get partialChecksum(): boolean {
    return this.#inner.partialChecksum;
  }

  get segmentationBytesMax4(): number {
    return this.#inner.segmentationBytesMax4;
  }

  get segmentationBytesMax6(): number {
    return this.#inner.segmentationBytesMax6;
  }

  get udpSegmentationBytesMax4(): number {
    return this.#inner.udpSegmentationBytesMax4 ?? 0;
  }

  get udpSegmentationBytesMax6(): number {
    return this.#inner.udpSegmentationBytesMax6 ?? 0;
  }

  get ready(): boolean {
    return this.#inner.ready;
  }

  reserve(lengthBytes: number): number {
    return this.#inner.reserve(Math.max(lengthBytes, FRAME_BYTES_MIN));
  }

  commit(index: number, lengthBytes: number): void {
    const { frames } = this.#inner;
    let length = lengthBytes;
    if (length < FRAME_BYTES_MIN) {
      // The record shows the padding, and the buffers are the guest's once committed: pad here, before both.
      memset(frames.select(index, this.#frame), frames.offset[index] + length, 0, FRAME_BYTES_MIN - length);
      length = FRAME_BYTES_MIN;
    }
    this.#capture.record(frames, index, length, true);
    this.#inner.commit(index, length);
  }

  giveBack(index: number): void {
    this.#inner.giveBack(index);
  }

  wantRoom(wanted: boolean): boolean {
    return this.#inner.wantRoom(wanted);
  }
}
