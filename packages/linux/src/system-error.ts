import { lastErrno, libc } from "./libc.ts";

/** Error numbers by name, as Linux has them on x86-64 and arm64 (asm-generic). */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EPIPE: 32,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
} as const;

/** The name of an error number, positive or negative ("EAGAIN"), or "errno 200" for one that has no name here. */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  for (const [name, value] of Object.entries(Errno)) if (value === number) return name;
  return `errno ${number}`;
}

/** What the C library says about an error number, positive or negative ("Connection refused"). */
export function errnoMessage(errno: number): string {
  return String(libc.strerror(Math.abs(errno)));
}

/** A system call failed in the control plane; the data plane returns -errno instead. */
export class SystemError extends Error {
  /** The error's name, "EADDRINUSE". */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  /**
   * @param errno positive or negative.
   * @param subject what the call was about, a path for instance.
   */
  constructor(syscall: string, errno: number, subject = "") {
    const code = errnoName(errno);
    super(`${syscall}${subject === "" ? "" : ` ${subject}`}: ${errnoMessage(errno)} (${code})`);
    this.name = "SystemError";
    this.code = code;
    this.errno = Math.abs(errno);
    this.syscall = syscall;
  }
}

/** Passes a call's result on, or throws a {@link SystemError} when it is -1. Call it right after the call. */
export function orThrow(returned: number, syscall: string, subject = ""): number {
  if (returned === -1) throw new SystemError(syscall, lastErrno(), subject);
  return returned;
}
