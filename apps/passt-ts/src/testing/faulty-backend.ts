import type { NetBackend, NetHeaderLength } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";

/** A frame of this length makes a {@link FaultyBackend} throw. */
export const POISON_BYTES = 66;

/** A back-end with a fault: it throws at frames of one length, and otherwise is the one it wraps. */
export class FaultyBackend implements NetBackend {
  readonly #inner: NetBackend;

  constructor(inner: NetBackend) {
    this.#inner = inner;
  }

  get capabilities(): number {
    return this.#inner.capabilities;
  }

  get deadlineMs(): number {
    return this.#inner.deadlineMs;
  }

  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number {
    return this.#inner.setCapabilities(capabilities, headerLength);
  }

  attach(sink: RxSink): void {
    this.#inner.attach(sink);
  }

  send(frames: FrameBatch, count: number, nowMs: number): void {
    for (let index = 0; index < count; index++) {
      if (frames.length[index] === POISON_BYTES) throw new Error("a fault that nobody foresaw");
    }
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
  }
}
