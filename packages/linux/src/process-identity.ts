import { libc } from "./libc.ts";
import { orThrow } from "./system-error.ts";

const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;

/**
 * Becomes another user for good: supplementary groups go, then the group ids, then the user ids. The C library does it
 * for every thread of the process. Load all modules before: the new user may not be able to read them.
 *
 * @throws SystemError EPERM without the privilege.
 */
export function setIdentity(uid: number, gid: number): void {
  orThrow(libc.setgroups(0, 0), "setgroups");
  orThrow(libc.setresgid(gid, gid, gid), "setresgid", String(gid));
  orThrow(libc.setresuid(uid, uid, uid), "setresuid", String(uid));
}

/** Says whether the process leaves core dumps and can be traced by others of its user. @throws SystemError */
export function setDumpable(dumpable: boolean): void {
  orThrow(libc.prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0), "prctl");
}

/** Gives up for good, on the calling thread and its later children, what a set-uid program could gain. @throws SystemError */
export function setNoNewPrivileges(): void {
  orThrow(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl");
}

/** Sets the permissions that new files do not get, for the whole process; the previous mask. */
export function setUmask(mask: number): number {
  return libc.umask(mask);
}
