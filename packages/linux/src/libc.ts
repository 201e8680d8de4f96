/**
 * The C library: every function of it that this package calls, and errno.
 *
 * Pointers go as plain numbers (user addresses on Linux end below 2^53). Arguments are declared "ptr" rather than
 * "u64" where they are addresses: 9 ns instead of 19 ns a call (Bun 1.4.5, x86-64). Results are declared i32, because an
 * i64 comes back as a BigInt; no call here asks for 2 GiB or more, so a count always fits.
 *
 * A Worker evaluates this module for itself, on its own thread, so the errno location is that thread's.
 */
import { dlopen, toArrayBuffer } from "bun:ffi";

/** The calls, as they are in C; -1 (or a BigInt where an address was due) means that errno says why. */
export interface Libc {
  readonly __errno_location: () => number;
  readonly strerror: (errno: number) => { toString(): string };
  readonly memcpy: (to: number, from: number, lengthBytes: number) => void;
  readonly close: (fd: number) => number;
  readonly dup2: (fd: number, onto: number) => number;
  readonly open: (path: number, flags: number, mode: number) => number;
  readonly read: (fd: number, bytes: number, lengthBytes: number) => number;
  readonly write: (fd: number, bytes: number, lengthBytes: number) => number;
  readonly readv: (fd: number, entries: number, count: number) => number;
  readonly writev: (fd: number, entries: number, count: number) => number;
  readonly sendfile: (to: number, from: number, offset: number, lengthBytes: number) => number;
  readonly fsync: (fd: number) => number;
  readonly ftruncate: (fd: number, lengthBytes: number) => number;
  readonly fcntl: (fd: number, command: number, argument: number) => number;
  readonly ioctl: (fd: number, request: number, argument: number) => number;
  readonly statx: (fd: number, path: number, flags: number, mask: number, out: number) => number;
  readonly unlink: (path: number) => number;
  readonly chmod: (path: number, mode: number) => number;
  readonly umask: (mask: number) => number;
  readonly memfd_create: (name: number, flags: number) => number;
  /** A number on success; MAP_FAILED is all ones and arrives as a BigInt. */
  readonly mmap: (
    hint: number,
    lengthBytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number | bigint;
  readonly munmap: (address: number, lengthBytes: number) => number;
  readonly madvise: (address: number, lengthBytes: number, advice: number) => number;
  readonly eventfd: (initial: number, flags: number) => number;
  readonly pipe2: (fds: number, flags: number) => number;
  readonly poll: (descriptors: number, count: number, timeoutMs: number) => number;
  readonly epoll_create1: (flags: number) => number;
  readonly epoll_ctl: (epoll: number, operation: number, fd: number, event: number) => number;
  readonly epoll_wait: (epoll: number, events: number, count: number, timeoutMs: number) => number;
  readonly inotify_init1: (flags: number) => number;
  readonly inotify_add_watch: (inotify: number, path: number, mask: number) => number;
  readonly inotify_rm_watch: (inotify: number, watch: number) => number;
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly socketpair: (family: number, type: number, protocol: number, fds: number) => number;
  readonly bind: (fd: number, address: number, lengthBytes: number) => number;
  readonly connect: (fd: number, address: number, lengthBytes: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept4: (fd: number, address: number, length: number, flags: number) => number;
  readonly getsockname: (fd: number, address: number, length: number) => number;
  readonly getpeername: (fd: number, address: number, length: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: number, lengthBytes: number) => number;
  readonly getsockopt: (fd: number, level: number, name: number, value: number, length: number) => number;
  readonly shutdown: (fd: number, how: number) => number;
  readonly send: (fd: number, bytes: number, lengthBytes: number, flags: number) => number;
  readonly recv: (fd: number, bytes: number, lengthBytes: number, flags: number) => number;
  readonly sendmsg: (fd: number, message: number, flags: number) => number;
  readonly recvmsg: (fd: number, message: number, flags: number) => number;
  readonly sendmmsg: (fd: number, messages: number, count: number, flags: number) => number;
  readonly recvmmsg: (fd: number, messages: number, count: number, flags: number, timeout: number) => number;
  readonly getrlimit: (resource: number, out: number) => number;
  readonly setrlimit: (resource: number, limits: number) => number;
  readonly setgroups: (count: number, groups: number) => number;
  readonly setresgid: (real: number, effective: number, saved: number) => number;
  readonly setresuid: (real: number, effective: number, saved: number) => number;
  readonly sched_yield: () => number;
  readonly prctl: (option: number, a: number, b: number, c: number, d: number) => number;
  /** The address of a static struct passwd or group, or null for nobody. */
  readonly getpwnam: (name: number) => number | null;
  readonly getpwuid: (uid: number) => number | null;
  readonly getgrnam: (name: number) => number | null;
}

/** The calling thread's C library. */
export const libc: Libc = dlopen("libc.so.6", {
  __errno_location: { args: [], returns: "ptr" },
  strerror: { args: ["i32"], returns: "cstring" },
  memcpy: { args: ["ptr", "ptr", "u32"], returns: "void" },
  close: { args: ["i32"], returns: "i32" },
  dup2: { args: ["i32", "i32"], returns: "i32" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i32" },
  write: { args: ["i32", "ptr", "u64"], returns: "i32" },
  readv: { args: ["i32", "ptr", "i32"], returns: "i32" },
  writev: { args: ["i32", "ptr", "i32"], returns: "i32" },
  sendfile: { args: ["i32", "i32", "ptr", "u64"], returns: "i32" },
  fsync: { args: ["i32"], returns: "i32" },
  ftruncate: { args: ["i32", "u64"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
  unlink: { args: ["ptr"], returns: "i32" },
  chmod: { args: ["ptr", "u32"], returns: "i32" },
  umask: { args: ["u32"], returns: "u32" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "u64"], returns: "ptr" },
  munmap: { args: ["ptr", "u64"], returns: "i32" },
  madvise: { args: ["ptr", "u64", "i32"], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  inotify_init1: { args: ["i32"], returns: "i32" },
  inotify_add_watch: { args: ["i32", "ptr", "u32"], returns: "i32" },
  inotify_rm_watch: { args: ["i32", "i32"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
  sendmsg: { args: ["i32", "ptr", "i32"], returns: "i32" },
  recvmsg: { args: ["i32", "ptr", "i32"], returns: "i32" },
  sendmmsg: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  recvmmsg: { args: ["i32", "ptr", "u32", "i32", "ptr"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setgroups: { args: ["u64", "ptr"], returns: "i32" },
  setresgid: { args: ["u32", "u32", "u32"], returns: "i32" },
  setresuid: { args: ["u32", "u32", "u32"], returns: "i32" },
  sched_yield: { args: [], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  getpwnam: { args: ["ptr"], returns: "ptr" },
  getpwuid: { args: ["u32"], returns: "ptr" },
  getgrnam: { args: ["ptr"], returns: "ptr" },
}).symbols as unknown as Libc;

const ERRNO: Int32Array = new Int32Array(toArrayBuffer(libc.__errno_location(), 0, 4));

/** errno of this thread; meaningful only right after a call that said -1. */
export function lastErrno(): number {
  return ERRNO[0];
}

/** A call's result as the data plane wants it: what the call returned, or -errno. */
export function resultOf(returned: number): number {
  return returned === -1 ? -ERRNO[0] : returned;
}
