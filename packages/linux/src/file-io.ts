import { ptr } from "bun:ffi";
import { lastErrno, libc, resultOf } from "./libc.ts";
import { nativeString } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { Errno, orThrow } from "./system-error.ts";

const O_CLOEXEC = 0o2000000;

/** How a file is opened (O_* bits): the last three write, and make the file when it is not there. */
export const OpenMode = {
  read: 0,
  readWrite: 0o2,
  /** Empties a file that is there: O_WRONLY, O_CREAT, O_TRUNC. */
  replace: 0o1101,
  /** O_WRONLY, O_CREAT, O_APPEND. */
  append: 0o2101,
  /** Fails with EEXIST when the file is there: O_WRONLY, O_CREAT, O_EXCL. */
  createNew: 0o301,
} as const;

/** Opens a file. @param mode a number of {@link OpenMode}. @throws SystemError */
export function openFile(path: string, mode: number, permissions = 0o666): OwnedFd {
  return new OwnedFd(orThrow(libc.open(nativeString(path).address, mode | O_CLOEXEC, permissions), "open", path));
}

/**
 * Writes `lengthBytes` bytes of `bytes` from `offset` on, in as many calls as it takes.
 *
 * The bytes written: all of them, or fewer when a call failed after some (a full disk, a full pipe); -errno when the
 * first call failed.
 */
export function writeBytes(fd: number, bytes: Uint8Array, offset: number, lengthBytes: number): number {
  if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > bytes.length) return -Errno.EINVAL;
  if (lengthBytes === 0) return 0;
  let done = 0;
  while (done < lengthBytes) {
    // The address is taken in each round, so that the bytes stay referenced until the last call.
    const written = libc.write(fd, ptr(bytes) + offset + done, lengthBytes - done);
    if (written === -1) {
      const errno = lastErrno();
      if (errno === Errno.EINTR) continue;
      return done > 0 ? done : -errno;
    }
    done += written;
  }
  return done;
}

/** Reads at most `lengthBytes` bytes to `offset` of `bytes` in one call. Bytes, 0 at the end, or -errno. */
export function readBytes(fd: number, bytes: Uint8Array, offset: number, lengthBytes: number): number {
  if (offset < 0 || lengthBytes <= 0 || offset + lengthBytes > bytes.length) return -Errno.EINVAL;
  return resultOf(libc.read(fd, ptr(bytes) + offset, lengthBytes));
}

/** Waits until what was written is on the disk. 0 or -errno. */
export function syncFile(fd: number): number {
  return resultOf(libc.fsync(fd));
}
