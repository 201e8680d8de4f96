import { type Pointer, read } from "bun:ffi";
import { libc } from "./libc.ts";
import { nativeString } from "./native-buffer.ts";

/** A user as the system knows it. */
export interface UserEntry {
  readonly uid: number;
  /** The group that the user logs in with. */
  readonly gid: number;
}

/** struct passwd and struct group (glibc, 64 bits): two pointers, then the numbers. */
const PASSWD = { uid: 16, gid: 20 };
const GROUP = { gid: 16 };

/** The user of this login name (getpwnam(3)), or null. */
export function userNamed(name: string): UserEntry | null {
  return userAt(libc.getpwnam(nativeString(name).address));
}

/** The user with this number (getpwuid(3)), or null. */
export function userNumbered(uid: number): UserEntry | null {
  return userAt(libc.getpwuid(uid));
}

/** The number of the group of this name (getgrnam(3)), or null. */
export function groupNamed(name: string): number | null {
  const entry = libc.getgrnam(nativeString(name).address);
  return entry === null ? null : read.u32(entry as Pointer, GROUP.gid);
}

function userAt(entry: number | null): UserEntry | null {
  if (entry === null) return null;
  return { uid: read.u32(entry as Pointer, PASSWD.uid), gid: read.u32(entry as Pointer, PASSWD.gid) };
}
