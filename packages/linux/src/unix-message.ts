/**
 * Messages with file descriptors over a Unix socket.
 *
 * Trust: the peer writes the bytes and chooses what descriptors come and how many. What does not fit the caller's
 * array is closed here, so that a peer cannot make us run out of descriptors.
 */
import { ptr } from "bun:ffi";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, SOL_SOCKET } from "./socket-constants.ts";
import { Errno } from "./system-error.ts";

/** Descriptors that one message can carry (SCM_MAX_FD). */
export const MESSAGE_FDS_MAX = 253;

const SCM_RIGHTS = 1;
/** struct cmsghdr: length (8), level (4), type (4). */
const CMSG_HEADER_BYTES = 16;
const CONTROL_BYTES = CMSG_HEADER_BYTES + MESSAGE_FDS_MAX * 4 + 4;
/** struct msghdr in 32-bit words; one struct iovec lies behind it. */
const MSG = { name: 0, nameLength: 2, entries: 4, entryCount: 6, control: 8, controlLength: 10, flags: 12, words: 14 };
const ENTRY_WORD: number = MSG.words;

/** Sends and receives messages with descriptors; it owns the native structures, so each owner has one. */
export class UnixMessages {
  readonly #message: NativeBuffer = new NativeBuffer((MSG.words + 4) * 4);
  readonly #control: NativeBuffer = new NativeBuffer(CONTROL_BYTES);
  /** The bytes whose address the native structure holds. */
  #bytes: Uint8Array | null = null;

  /** Descriptors that the last {@link UnixMessages.receive} put into the caller's array. */
  fdCount = 0;
  /** Descriptors that came with it and did not fit: closed here, or cut by the kernel. */
  fdsRefused = false;

  constructor() {
    this.#message.setLong(MSG.entries, this.#message.address + ENTRY_WORD * 4);
    this.#message.words[MSG.entryCount] = 1;
  }

  /**
   * Sends the first `lengthBytes` bytes of `bytes`, with `fdCount` descriptors of `fds`. The bytes sent, which may be
   * fewer on a stream (the descriptors are then gone with them), or -errno: -EAGAIN when the socket is full.
   */
  send(
    fd: number,
    bytes: Uint8Array,
    lengthBytes: number,
    fds?: ArrayLike<number>,
    fdCount: number = fds?.length ?? 0,
  ): number {
    if (lengthBytes > bytes.length || fdCount > MESSAGE_FDS_MAX) return -Errno.EINVAL;
    this.#pointAt(bytes, 0, lengthBytes);
    this.#message.setLong(MSG.control, fdCount > 0 ? this.#control.address : 0);
    this.#message.words[MSG.controlLength] = 0;
    if (fds !== undefined && fdCount > 0) {
      const length = CMSG_HEADER_BYTES + fdCount * 4;
      this.#control.setLong(0, length);
      this.#control.words[2] = SOL_SOCKET;
      this.#control.words[3] = SCM_RIGHTS;
      for (let i = 0; i < fdCount; i++) this.#control.words[4 + i] = fds[i];
      this.#message.words[MSG.controlLength] = (length + 7) & ~7;
    }
    return resultOf(libc.sendmsg(fd, this.#message.address, MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  /**
   * Receives at most `lengthBytes` bytes to `offset` of `bytes`, and the descriptors that came with them into `fdsOut`:
   * the caller owns {@link UnixMessages.fdCount} descriptors afterwards, also when it refuses the bytes.
   *
   * The bytes received, 0 when the peer has closed, or -errno: -EAGAIN when nothing waits.
   */
  receive(fd: number, bytes: Uint8Array, offset: number, lengthBytes: number, fdsOut: Int32Array): number {
    this.fdCount = 0;
    this.fdsRefused = false;
    if (offset < 0 || lengthBytes <= 0 || offset + lengthBytes > bytes.length) return -Errno.EINVAL;
    this.#pointAt(bytes, offset, lengthBytes);
    const { words } = this.#message;
    this.#message.setLong(MSG.control, this.#control.address);
    words[MSG.controlLength] = CONTROL_BYTES;
    words[MSG.flags] = 0;
    const result = resultOf(libc.recvmsg(fd, this.#message.address, MSG_CMSG_CLOEXEC | MSG_NOSIGNAL | MSG_DONTWAIT));
    if (result >= 0) this.#takeFds(fdsOut);
    return result;
  }

  #pointAt(bytes: Uint8Array, offset: number, lengthBytes: number): void {
    this.#bytes = bytes;
    const address = lengthBytes > 0 ? ptr(this.#bytes) + offset : 0;
    this.#message.setLong(ENTRY_WORD, address);
    this.#message.setLong(ENTRY_WORD + 2, lengthBytes);
  }

  #takeFds(fdsOut: Int32Array): void {
    const { words } = this.#control;
    const end = this.#message.words[MSG.controlLength];
    if ((this.#message.words[MSG.flags] & MSG_CTRUNC) !== 0) this.fdsRefused = true;
    for (let at = 0; at + CMSG_HEADER_BYTES <= end; ) {
      const length = words[at >> 2];
      if (length < CMSG_HEADER_BYTES || at + length > end) break;
      if (words[(at >> 2) + 2] === SOL_SOCKET && words[(at >> 2) + 3] === SCM_RIGHTS) {
        const last = (at + length) >> 2;
        for (let i = (at >> 2) + 4; i < last; i++) this.#takeFd(words[i], fdsOut);
      }
      at += (length + 7) & ~7;
    }
  }

  #takeFd(fd: number, fdsOut: Int32Array): void {
    if (this.fdCount < fdsOut.length) {
      fdsOut[this.fdCount++] = fd;
    } else {
      this.fdsRefused = true;
      libc.close(fd);
    }
  }
}
