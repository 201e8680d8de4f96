import { readFileSync } from "node:fs";
import { setIdentity } from "@passt-ts/linux/process-identity";
import { SystemError } from "@passt-ts/linux/system-error";
import { groupNamed, userNamed, userNumbered } from "@passt-ts/linux/user-database";
import { parseNumber } from "./number-option.ts";
import { UsageError } from "./usage-error.ts";

/** Whom the process runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** What decides whom the process runs as when nobody says. */
export interface Starter {
  readonly uid: number;
  /** Whether user ids mean here what they mean to the kernel: in a user namespace they do not. */
  readonly inFirstUserNamespace: boolean;
  /** Whether the kernel would let us become somebody else (CAP_SETUID). */
  readonly mayChangeUser: boolean;
}

const NOBODY: Identity = { uid: 65534, gid: 65534 };
const ID_MAX = 0xffff_fffe;

/** The process as it was started. */
export function readStarter(): Starter {
  return {
    uid: process.geteuid?.() ?? 0,
    // Without user namespaces there is only the first.
    inFirstUserNamespace: isFirstMap(textOf("/proc/self/uid_map") ?? "0 0 4294967295"),
    mayChangeUser: hasSetUid(textOf("/proc/self/status") ?? ""),
  };
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

const CAP_SETUID = 1n << 7n;

/** Whether a /proc/PID/status (proc(5)) has CAP_SETUID in effect. */
export function hasSetUid(status: string): boolean {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${capabilities}`) & CAP_SETUID) !== 0n;
}

/** Whether a uid_map (user_namespaces(7)) leaves every id as it is. */
export const isFirstMap = (text: string): boolean => text.trim().split(/\s+/).join(" ") === "0 0 4294967295";

/**
 * Whom to become: what --runas says; without it nobody for root, and null, no change, for others.
 *
 * @throws UsageError when there is no such user or group, and for root that could be somebody else.
 */
export function identityFor(runAs: string | undefined, starter: Starter): Identity | null {
  if (runAs !== undefined) {
    const identity = parseIdentity(runAs);
    if (identity.uid === 0 && starter.inFirstUserNamespace && starter.mayChangeUser)
      throw new UsageError(`--runas: '${runAs}' is root, who would have rights that nothing here needs`);
    return identity;
  }
  if (starter.uid !== 0 || !starter.inFirstUserNamespace) return null;
  return userNamed("nobody") ?? NOBODY;
}

function parseIdentity(text: string): Identity {
  const [user, group, ...rest] = text.split(":");
  const number = parseNumber(user);
  const entry = Number.isNaN(number) ? userNamed(user) : userNumbered(number);
  const uid = Number.isNaN(number) ? entry?.uid : number;
  if (uid === undefined || uid > ID_MAX || rest.length > 0) throw new UsageError(`--runas: there is no user '${text}'`);
  if (group === undefined || group === "") return { uid, gid: entry?.gid ?? uid };
  const groupNumber = parseNumber(group);
  const gid = Number.isNaN(groupNumber) ? groupNamed(group) : groupNumber;
  if (gid === null || gid > ID_MAX) throw new UsageError(`--runas: there is no group '${group}'`);
  return { uid, gid };
}

/** Becomes somebody else on all threads, for good. @throws UsageError when the kernel does not let us. */
export function become({ uid, gid }: Identity): void {
  if (process.geteuid?.() === uid && process.getegid?.() === gid) return;
  try {
    setIdentity(uid, gid);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const hint = process.geteuid?.() === 0 ? ": --runas 0 stays root" : "";
    throw new UsageError(`--runas: cannot become user ${uid}, group ${gid}: ${error.message}${hint}`);
  }
}
