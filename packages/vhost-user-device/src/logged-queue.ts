import type { IovPool } from "@passt-ts/iov/iov";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { Elements } from "@passt-ts/virtio-ring/elements";
import type { DirtyLog } from "./dirty-log.ts";
import { WrappedQueue } from "./wrapped-queue.ts";

/** A piece of guest memory that a device writes to besides buffers. */
export interface LoggedPart {
  readonly guestAddress: number;
  readonly lengthBytes: number;
}

/** What is logged of one ring. */
export interface RingLog {
  readonly log: DirtyLog;
  /** Guest address of the first byte of each window, by window. */
  readonly windowAddresses: ArrayLike<number>;
  /** The parts of the ring that the device writes; none when the front-end does not want them logged. */
  readonly parts: readonly LoggedPart[];
}

/**
 * A queue around a queue: logs the bytes written to buffers when a chain is pushed, as they are written by then, and
 * the parts of the ring whenever something in them may have changed.
 */
export class LoggedQueue extends WrappedQueue {
  readonly #ringLog: RingLog;
  /** The pops that were not pushed: their elements, and which of them is the next to be pushed. */
  #elements: Elements | null = null;
  #next = 0;

  constructor(inner: DeviceQueue, ringLog: RingLog) {
    super(inner);
    this.#ringLog = ringLog;
  }

  override pop(elements: Elements, pool: IovPool): number {
    const element = this.inner.pop(elements, pool);
    // Callers empty their elements when all chains were pushed or taken back, and begin anew.
    if (element === 0) this.#next = 0;
    this.#elements = elements;
    return element;
  }

  override push(head: number, writtenBytes: number): void {
    this.inner.push(head, writtenBytes);
    const elements = this.#elements;
    if (elements === null) return;
    const element = this.#next++;
    if (writtenBytes > 0) this.#logBuffers(elements, element, writtenBytes);
  }

  #logBuffers(elements: Elements, element: number, writtenBytes: number): void {
    const { log, windowAddresses } = this.#ringLog;
    const { pool } = elements;
    if (pool === null) return;
    let left = writtenBytes;
    const first = elements.firstEntry[element] + elements.outCount[element];
    const end = first + elements.inCount[element];
    for (let entry = first; entry < end && left > 0; entry++) {
      const lengthBytes = Math.min(left, pool.length[entry]);
      log.mark(windowAddresses[pool.window[entry]] + pool.offset[entry], lengthBytes);
      left -= lengthBytes;
    }
  }

  override publish(): void {
    this.inner.publish();
    this.#logRing();
  }

  #logRing(): void {
    const { log, parts } = this.#ringLog;
    for (let i = 0; i < parts.length; i++) log.mark(parts[i].guestAddress, parts[i].lengthBytes);
  }

  override suppressKicks(): void {
    this.inner.suppressKicks();
    this.#logRing();
  }

  override allowKicks(): boolean {
    const more = this.inner.allowKicks();
    this.#logRing();
    return more;
  }
}
