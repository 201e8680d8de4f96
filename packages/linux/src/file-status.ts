import { libc } from "./libc.ts";
import { NativeBuffer, nativeString } from "./native-buffer.ts";
import { orThrow } from "./system-error.ts";

/** What a file is, as far as mapping it goes. */
export interface FileStatus {
  readonly sizeBytes: number;
  /** st_blksize: on hugetlbfs the size of a huge page, to which mappings are rounded. */
  readonly blockBytes: number;
  /** `S_IFMT` bits and permissions. */
  readonly mode: number;
  readonly inode: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
/** struct statx (linux/stat.h): one layout on every architecture, unlike struct stat. */
const STATX = { blockBytes: 4, mode: 28, inode: 32, sizeBytes: 40, deviceMajor: 136, deviceMinor: 140, size: 256 };

/** The status of an open file. @throws SystemError */
export function fileStatus(fd: number): FileStatus {
  return statusOf(fd, "", AT_EMPTY_PATH);
}

/** The status of what is at a path; of a symbolic link, of the link. @throws SystemError */
export function pathStatus(path: string): FileStatus {
  return statusOf(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
}

function statusOf(fd: number, path: string, flags: number): FileStatus {
  const name = nativeString(path);
  const out = new NativeBuffer(STATX.size);
  orThrow(libc.statx(fd, name.address, flags, STATX_BASIC_STATS, out.address), "statx", path);
  return {
    sizeBytes: Number(out.view.getBigUint64(STATX.sizeBytes, true)),
    blockBytes: out.view.getUint32(STATX.blockBytes, true),
    mode: out.view.getUint16(STATX.mode, true),
    inode: out.view.getBigUint64(STATX.inode, true),
    deviceMajor: out.view.getUint32(STATX.deviceMajor, true),
    deviceMinor: out.view.getUint32(STATX.deviceMinor, true),
  };
}

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFSOCK = 0o140000;
const S_IFIFO = 0o010000;

/** The file can be mapped by length: a regular file, memfd and hugetlbfs included. */
export function isRegularFile(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFREG;
}

/** The descriptor is a socket. */
export function isSocket(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFSOCK;
}

/** The descriptor is a pipe. */
export function isPipe(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFIFO;
}

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 0o4000;

/** Makes reads and writes on the open file return EAGAIN instead of waiting, or undoes that. @throws SystemError */
export function setNonBlocking(fd: number, nonBlocking = true): void {
  const flags = orThrow(libc.fcntl(fd, F_GETFL, 0), "fcntl");
  const wanted = nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (wanted !== flags) orThrow(libc.fcntl(fd, F_SETFL, wanted), "fcntl");
}

/** Says whether a child started later keeps the descriptor; everything this package opens is not kept. @throws SystemError */
export function setCloseOnExec(fd: number, closeOnExec = true): void {
  const flags = orThrow(libc.fcntl(fd, F_GETFD, 0), "fcntl");
  const wanted = closeOnExec ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  if (wanted !== flags) orThrow(libc.fcntl(fd, F_SETFD, wanted), "fcntl");
}
