import { closeFd, OwnedFd } from "@passt-ts/linux/owned-fd";

/** More than any message carries, so that a surplus shows. */
const FDS_MAX = 32;

/**
 * The file descriptors that came with one message. Each is owned here until a handler takes it; disposing closes the
 * rest, whatever became of the message.
 */
export class ReceivedFds implements Disposable {
  readonly #fds: OwnedFd[] = [];

  /** How many came with the message, taken or not. */
  get count(): number {
    return this.#fds.length;
  }

  /** Becomes the owner of the first `count` descriptors of `fds`; more than any message may carry are closed. */
  add(fds: ArrayLike<number>, count: number): void {
    for (let i = 0; i < count; i++) {
      if (this.#fds.length < FDS_MAX) this.#fds.push(new OwnedFd(fds[i]));
      else closeFd(fds[i]);
    }
  }

  /** Lends descriptor `index`; -1 when there is none. */
  borrow(index: number): number {
    return this.#fds[index]?.fd ?? -1;
  }

  /** Hands descriptor `index` to the caller; null when there is none. */
  take(index: number): OwnedFd | null {
    const fd = this.#fds[index];
    return fd === undefined || fd.fd === -1 ? null : new OwnedFd(fd.take());
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) fd.close();
    this.#fds.length = 0;
  }
}
