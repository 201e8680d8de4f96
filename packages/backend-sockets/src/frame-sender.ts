import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";

/** Sends whole frames, built in flat scratch memory, to the guest. */
export class FrameSender {
  readonly #sink: RxSink;
  readonly #frame: Iov;
  /** Frames that found no room. */
  dropped = 0;

  constructor(sink: RxSink) {
    this.#sink = sink;
    this.#frame = new Iov(sink.frames.pool);
  }

  /** Copies the frame of `lengthBytes` bytes at `at` of `window` to the guest; counts and drops it when none can go. */
  send(window: number, at: number, lengthBytes: number): void {
    const { frames } = this.#sink;
    const index = this.#sink.reserve(lengthBytes);
    if (index < 0) {
      this.dropped++;
      return;
    }
    scatter(frames.select(index, this.#frame), frames.offset[index], window, at, lengthBytes);
    this.#sink.commit(index, lengthBytes);
  }
}
