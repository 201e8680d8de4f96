/**
 * Reading and writing streams straight from and to scatter-gather lists: no byte is copied by us.
 *
 * One call takes at most 1024 entries; of a list with more it does what they cover and returns that count.
 */
import type { Iov } from "@passt-ts/iov/iov";
import { CALL_ENTRIES_MAX, IovecTable } from "./iovec-table.ts";
import { libc, resultOf } from "./libc.ts";
import { type MappedMemory, mapAnonymous } from "./mapped-memory.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC } from "./socket-constants.ts";
import { Errno } from "./system-error.ts";

/** struct msghdr in 32-bit words. */
const MSG = { entries: 4, entryCount: 6, words: 14 } as const;

const DISCARD_BYTES: number = 1024 * 1024;

/** The most that {@link StreamIo.receiveBehind} can skip, in bytes. */
export const SKIP_BYTES_MAX: number = 64 * DISCARD_BYTES;

/** The calls, and the native structures they need: each owner (one on each thread at least) has its own. */
export class StreamIo implements Disposable {
  readonly #table: IovecTable = new IovecTable(CALL_ENTRIES_MAX);
  readonly #message: NativeBuffer = new NativeBuffer(MSG.words * 4);
  readonly #fileOffset: NativeBuffer = new NativeBuffer(8);
  #discard: MappedMemory | null = null;

  constructor() {
    this.#message.setLong(MSG.entries, this.#table.address);
  }

  /** Sends `lengthBytes` bytes of `iov` from `offset` on. The bytes taken by the kernel, or -errno; `flags` adds MSG_*. */
  send(fd: number, iov: Iov, offset: number, lengthBytes: number, flags = 0): number {
    this.#table.count = 0;
    const covered = this.#table.append(iov, offset, lengthBytes);
    if (covered <= 0) return covered;
    this.#message.words[MSG.entryCount] = this.#table.count;
    return resultOf(libc.sendmsg(fd, this.#message.address, flags | MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  /**
   * Receives at most `lengthBytes` bytes into `iov` from `offset` on; `flags` adds MSG_PEEK and the like. The bytes
   * received, 0 when the peer has ended the stream, or -errno. -EINVAL when there is no room to receive into, so that
   * 0 always means the end.
   */
  receive(fd: number, iov: Iov, offset: number, lengthBytes: number, flags = 0): number {
    this.#table.count = 0;
    const covered = this.#table.append(iov, offset, lengthBytes);
    if (covered <= 0) return covered < 0 ? covered : -Errno.EINVAL;
    this.#message.words[MSG.entryCount] = this.#table.count;
    return resultOf(libc.recvmsg(fd, this.#message.address, flags | MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  /**
   * Like {@link StreamIo.receive}, but leaves out the first `skipBytes` bytes that wait: what MSG_PEEK needs where the
   * kernel has no SO_PEEK_OFF. They are copied to a discard area and cost accordingly.
   *
   * The bytes received behind them; -EAGAIN when no more than `skipBytes` wait (also after the peer's FIN: that is
   * seen by EPOLLRDHUP, or as 0 once the bytes are consumed); -EINVAL when more than {@link SKIP_BYTES_MAX} are to be
   * skipped.
   */
  receiveBehind(fd: number, skipBytes: number, iov: Iov, offset: number, lengthBytes: number, flags = 0): number {
    if (skipBytes === 0) return this.receive(fd, iov, offset, lengthBytes, flags);
    if (skipBytes < 0 || skipBytes > SKIP_BYTES_MAX) return -Errno.EINVAL;
    this.#discard ??= mapAnonymous(DISCARD_BYTES);
    const table = this.#table;
    table.count = 0;
    for (let left = skipBytes; left > 0; left -= DISCARD_BYTES) {
      table.appendNative(this.#discard.address, Math.min(left, DISCARD_BYTES));
    }
    const covered = table.append(iov, offset, lengthBytes);
    if (covered <= 0) return covered < 0 ? covered : -Errno.EINVAL;
    this.#message.words[MSG.entryCount] = table.count;
    const result = resultOf(libc.recvmsg(fd, this.#message.address, flags | MSG_NOSIGNAL | MSG_DONTWAIT));
    if (result <= 0) return result;
    return result > skipBytes ? result - skipBytes : -Errno.EAGAIN;
  }

  /** Consumes at most `lengthBytes` bytes of a TCP stream without copying them (MSG_TRUNC, tcp(7)). Bytes or -errno. */
  consume(fd: number, lengthBytes: number): number {
    return resultOf(libc.recv(fd, 0, lengthBytes, MSG_TRUNC | MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  /**
   * Sends `lengthBytes` bytes of a file from `offset` on by its pages, without copying them (sendfile(2)); both
   * descriptors say whether it waits. The bytes taken, 0 at the end of the file, or -errno.
   */
  sendFile(fd: number, fileFd: number, offset: number, lengthBytes: number): number {
    this.#fileOffset.setLong(0, offset);
    return resultOf(libc.sendfile(fd, fileFd, this.#fileOffset.address, lengthBytes));
  }

  /** readv(2) into `iov`: for a tap or a file; the descriptor says whether it waits. Bytes, 0 at the end, or -errno. */
  read(fd: number, iov: Iov, offset: number, lengthBytes: number): number {
    this.#table.count = 0;
    const covered = this.#table.append(iov, offset, lengthBytes);
    if (covered <= 0) return covered < 0 ? covered : -Errno.EINVAL;
    return resultOf(libc.readv(fd, this.#table.address, this.#table.count));
  }

  /**
   * writev(2) from `iov`: for a tap or a file; the descriptor says whether it waits. The bytes written or -errno. A
   * frame for a tap must go in one call: -EMSGSIZE when `whole` and it has more entries than a call takes.
   */
  write(fd: number, iov: Iov, offset: number, lengthBytes: number, whole = false): number {
    this.#table.count = 0;
    const covered = this.#table.append(iov, offset, lengthBytes);
    if (covered <= 0) return covered;
    if (whole && covered < lengthBytes) return -Errno.EMSGSIZE;
    return resultOf(libc.writev(fd, this.#table.address, this.#table.count));
  }

  /** Frees the discard area. */
  close(): void {
    this.#discard?.close();
    this.#discard = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
