import { libc, resultOf } from "./libc.ts";
import { orThrow } from "./system-error.ts";

/**
 * A file descriptor that somebody is responsible for: closed exactly once, or taken by the next owner.
 *
 * With `using`, leaving the block closes what nobody took.
 */
export class OwnedFd implements Disposable {
  #fd: number;

  constructor(fd: number) {
    if (!Number.isInteger(fd) || fd < 0) throw new RangeError(`no file descriptor: ${fd}`);
    this.#fd = fd;
  }

  /** The descriptor, or -1 when it was taken or closed. */
  get fd(): number {
    return this.#fd;
  }

  /** Hands the descriptor to the caller, who closes it from now on. @throws Error when it is no longer here. */
  take(): number {
    const fd = this.#fd;
    if (fd === -1) throw new Error("the file descriptor was taken or closed before");
    this.#fd = -1;
    return fd;
  }

  /** Closes the descriptor if it is still here; later calls do nothing. */
  close(): void {
    const fd = this.#fd;
    if (fd === -1) return;
    this.#fd = -1;
    libc.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Closes a plain descriptor; 0 or -errno. Linux frees the number even when it reports an error: never call twice. */
export function closeFd(fd: number): number {
  return resultOf(libc.close(fd));
}

/**
 * Makes the number `onto` mean what `fd` means; what it meant before is closed. Both stay open, and `onto` outlives an
 * exec: this is for standard streams. @throws SystemError
 */
export function duplicateFd(fd: number, onto: number): void {
  orThrow(libc.dup2(fd, onto), "dup2");
}
