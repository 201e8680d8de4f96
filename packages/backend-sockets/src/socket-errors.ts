import type { WindowTable } from "@passt-ts/iov/windows";
import { ErrorQueue } from "@passt-ts/linux/error-queue";
import { Errno } from "@passt-ts/linux/system-error";

/** What the engines ask of an entry of an error queue; each has such an object of its own. */
export interface SocketErrorFields {
  errno: number;
  origin: number;
  type: number;
  code: number;
  information: number;
  readonly offender: Uint32Array;
  readonly dataWindow: number;
  readonly dataOffset: number;
  readonly dataCapacity: number;
  dataLength: number;
}

/** Takes entries off the error queues of sockets. */
export class SocketErrors {
  readonly queue: ErrorQueue = new ErrorQueue();
  readonly #windows: WindowTable;

  constructor(windows: WindowTable) {
    this.#windows = windows;
  }

  /** Takes one entry into `error`: 1, 0 when the queue is empty, or -errno. */
  take(socket: number, error: SocketErrorFields): number {
    const { queue } = this;
    const result = queue.receive(socket);
    if (result === -Errno.EAGAIN) return 0;
    if (result < 0) return result;
    error.errno = queue.errno;
    error.origin = queue.origin;
    error.type = queue.type;
    error.code = queue.code;
    error.information = queue.info;
    error.offender.set(queue.offender);
    error.dataLength = Math.min(result, error.dataCapacity);
    const bytes = this.#windows.bytes[error.dataWindow];
    for (let i = 0; i < error.dataLength; i++) bytes[error.dataOffset + i] = queue.payload[i];
    return 1;
  }
}
