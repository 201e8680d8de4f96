import { Iov } from "@passt-ts/iov/iov";
import { gather, scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend, NetHeaderLength } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";

/** A frame that a guest sent, and how: a copy of its bytes and its offload columns. */
export interface SentFrame {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

const FRAME_BYTES_MAX = 65_550;

/**
 * A back-end without a network, for tests of devices: keeps what the guest sent, and delivers what a test, or with
 * `echo` the guest itself, gave it.
 */
export class RecordingBackend implements NetBackend {
  capabilities: number;
  /** Send each frame of the guest back to it. */
  echo: boolean;
  /** Mark what is delivered as frames that nobody waits for. */
  canWait = false;
  /** Frames that one turn delivers at most. */
  framesPerTurn = 64;
  /** What setCapabilities answers. */
  capabilitiesResult = 0;
  deadlineMs: number = Infinity;
  negotiatedCapabilities = -1;
  headerLength: NetHeaderLength = 0;
  resets = 0;
  /** Frames in each call of send. */
  readonly batches: number[] = [];
  readonly sent: SentFrame[] = [];
  /** Frames that no buffer of the driver can hold. */
  tooLong = 0;
  readonly #waiting: Uint8Array[] = [];
  readonly #windows: WindowTable;
  readonly #scratch: Uint8Array = new Uint8Array(FRAME_BYTES_MAX);
  readonly #scratchWindow: number;
  #sink: RxSink | null = null;

  /** @param windows the table of the device. */
  constructor(windows: WindowTable, options: { readonly capabilities?: number; readonly echo?: boolean } = {}) {
    this.#windows = windows;
    this.#scratchWindow = windows.add(this.#scratch);
    this.capabilities = options.capabilities ?? 0;
    this.echo = options.echo ?? false;
  }

  /** Queues a frame for the guest. */
  deliver(frame: Uint8Array): void {
    this.#waiting.push(frame);
  }

  /** Frames that wait for room. */
  get waiting(): number {
    return this.#waiting.length;
  }

  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number {
    this.negotiatedCapabilities = capabilities;
    this.headerLength = headerLength;
    return capabilities === 0 ? 0 : this.capabilitiesResult;
  }

  attach(sink: RxSink): void {
    this.#sink = sink;
  }

  send(frames: FrameBatch, count: number): void {
    this.batches.push(count);
    const iov = new Iov(frames.pool);
    for (let i = 0; i < count; i++) {
      gather(frames.select(i, iov), frames.offset[i], this.#scratchWindow, 0, frames.length[i]);
      const bytes = this.#scratch.slice(0, frames.length[i]);
      this.sent.push({
        bytes,
        flags: frames.flags[i],
        gsoType: frames.gsoType[i],
        gsoSize: frames.gsoSize[i],
        checksumStart: frames.checksumStart[i],
        checksumOffset: frames.checksumOffset[i],
      });
      if (this.echo) this.#waiting.push(bytes);
    }
  }

  turn(): boolean {
    const sink = this.#sink;
    if (sink === null) return false;
    for (let i = 0; i < this.framesPerTurn; i++) {
      const frame = this.#waiting[0];
      if (frame === undefined) {
        sink.wantRoom(false);
        return false;
      }
      const index = sink.reserve(frame.length);
      if (index === Refused.tooLong) {
        this.tooLong++;
        this.#waiting.shift();
        continue;
      }
      if (index < 0) return index === Refused.noRoom && sink.wantRoom(true);
      this.#waiting.shift();
      sink.frames.canWait[index] = this.canWait ? 1 : 0;
      this.#scratch.set(frame);
      const iov = sink.frames.select(index, new Iov(sink.frames.pool));
      scatter(iov, sink.frames.offset[index], this.#scratchWindow, 0, frame.length);
      sink.commit(index, frame.length);
    }
    return this.#waiting.length > 0;
  }

  reset(): void {
    this.resets++;
    this.#waiting.length = 0;
  }

  discard(): number {
    return this.#waiting.shift()?.length ?? 0;
  }

  close(): void {
    this.#windows.remove(this.#scratchWindow);
  }
}
