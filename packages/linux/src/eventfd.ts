import { readlinkSync } from "node:fs";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { Errno, orThrow } from "./system-error.ts";

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;

/** Makes an eventfd whose counter is `initial`, non-blocking. @throws SystemError */
export function createEventFd(initial = 0): OwnedFd {
  return new OwnedFd(orThrow(libc.eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
}

/** Whether a descriptor is an eventfd, of anyone; false also where there is no /proc to tell it. */
export function isEventFd(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === "anon_inode:[eventfd]";
  } catch {
    return false;
  }
}

/** Makes a pipe, both ends non-blocking: what is written to the second can be read from the first. @throws SystemError */
export function createPipe(): [OwnedFd, OwnedFd] {
  const fds = new NativeBuffer(8);
  orThrow(libc.pipe2(fds.address, O_CLOEXEC | O_NONBLOCK), "pipe2");
  return [new OwnedFd(fds.words[0]), new OwnedFd(fds.words[1])];
}

/** Bytes read at once: an eventfd gives 8, a pipe may hold many signals. */
const DRAIN_BYTES = 512;
/** Reads of one {@link EventSignal.drain} at most, so that a writer that never stops cannot hold us. */
const DRAIN_READS = 16;

/** Gives and takes signals over descriptors: eventfds, and pipes (the call fd of User-Mode Linux is one). */
export class EventSignal {
  readonly #one: NativeBuffer = new NativeBuffer(8);
  readonly #drained: NativeBuffer = new NativeBuffer(DRAIN_BYTES);

  constructor() {
    this.#one.view.setBigUint64(0, 1n, true);
  }

  /**
   * Signals once. 0, or -errno. A descriptor that is full (EAGAIN) has a signal pending already and counts as 0; one
   * that is not in non-blocking mode could hold us instead.
   */
  notify(fd: number): number {
    const result = resultOf(libc.write(fd, this.#one.address, 8));
    return result >= 0 || result === -Errno.EAGAIN ? 0 : result;
  }

  /** Takes the signals that are pending. Bytes read, 0 when none was pending or the other end is closed, or -errno. */
  drain(fd: number): number {
    let total = 0;
    for (let i = 0; i < DRAIN_READS; i++) {
      const result = resultOf(libc.read(fd, this.#drained.address, DRAIN_BYTES));
      if (result < 0) return result === -Errno.EAGAIN || total > 0 ? total : result;
      total += result;
      if (result < DRAIN_BYTES) break;
    }
    return total;
  }
}
