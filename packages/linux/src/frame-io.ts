/**
 * Whole frames to and from a descriptor that takes one a call, a tap for instance, with a short header of our own in
 * front: no byte of a frame is copied by us.
 */
import type { Iov } from "@passt-ts/iov/iov";
import { CALL_ENTRIES_MAX, IovecTable } from "./iovec-table.ts";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { Errno } from "./system-error.ts";

/** The longest header, in bytes. */
export const FRAME_HEADER_BYTES_MAX = 16;

/** readv and writev of frames, with the native structures they need: one owner, one direction. */
export class FrameIo {
  /** The header: the owner fills it before a write and reads it after a read. */
  readonly header: DataView;
  readonly #native: NativeBuffer = new NativeBuffer(FRAME_HEADER_BYTES_MAX);
  readonly #table: IovecTable = new IovecTable(CALL_ENTRIES_MAX);

  constructor() {
    this.header = this.#native.view;
  }

  /**
   * Writes one frame, `lengthBytes` bytes of `iov` from `offset` on, behind the first `headerLength` bytes of the header.
   *
   * The bytes of the frame that were taken, or -errno: -EAGAIN when there is no room now, -EMSGSIZE when the frame has
   * more entries than a call takes.
   */
  write(fd: number, headerLength: number, iov: Iov, offset: number, lengthBytes: number): number {
    const table = this.#begin(headerLength);
    const covered = table.append(iov, offset, lengthBytes);
    if (covered < 0) return covered;
    if (covered < lengthBytes) return table.count === table.capacity ? -Errno.EMSGSIZE : -Errno.EFAULT;
    const written = resultOf(libc.writev(fd, table.address, table.count));
    return written < 0 ? written : written - headerLength;
  }

  /**
   * Reads one frame: its header to the first `headerLength` bytes of the header, its first `lengthBytes` bytes to `iov` from
   * `offset` on, and what is longer to `rest`, at the place where it would be had the frame begun at the start of `rest`.
   *
   * The frame's length in bytes, or -errno: -EAGAIN when none waits; -EMSGSIZE, and nothing read, when `iov` has more
   * entries than a call takes; -EPROTO when less than a header came. A frame of `restBytes` bytes may have been longer.
   *
   * @param restBytes what `rest` could hold of a whole frame, at least `lengthBytes`.
   */
  read(
    fd: number,
    headerLength: number,
    iov: Iov,
    offset: number,
    lengthBytes: number,
    rest: Iov,
    restBytes: number,
  ): number {
    const table = this.#begin(headerLength);
    const covered = lengthBytes > 0 ? table.append(iov, offset, lengthBytes) : 0;
    if (covered < 0) return covered;
    if (covered < lengthBytes && table.count < table.capacity) return -Errno.EFAULT;
    const behind = table.append(rest, lengthBytes, restBytes - lengthBytes);
    if (behind < 0) return behind;
    if (behind < restBytes - lengthBytes) return -Errno.EMSGSIZE;
    const read = resultOf(libc.readv(fd, table.address, table.count));
    if (read < 0) return read;
    return read < headerLength ? -Errno.EPROTO : read - headerLength;
  }

  #begin(headerLength: number): IovecTable {
    const table = this.#table;
    table.count = 0;
    if (headerLength > 0) table.appendNative(this.#native.address, headerLength);
    return table;
  }
}
