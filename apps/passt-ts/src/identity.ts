import { readFileSync } from "node:fs";
import { setIdentity } from "@passt-ts/linux/process-identity";
import { SystemError } from "@passt-ts/linux/system-error";
import { groupNamed, userNamed, userNumbered } from "@passt-ts/linux/user-database";
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
}

const NOBODY: Identity = { uid: 65534, gid: 65534 };
const ID_MAX = 0xffff_fffe;

/** The process as it was started. */
export function readStarter(): Starter {
  return { uid: process.geteuid?.() ?? 0, inFirstUserNamespace: isFirstMap(mapText()) };
}

function mapText(): string {
  try {
    return readFileSync("/proc/self/uid_map", "utf8");
  } catch {
    // Without user namespaces there is only the first.
    return "0 0 4294967295";
  }
}

/** Whether a uid_map (user_namespaces(7)) leaves every id as it is. */
export const isFirstMap = (text: string): boolean => text.trim().split(/\s+/).join(" ") === "0 0 4294967295";

/**
 * Whom to become: what --runas says; without it nobody for root, and null, no change, for others.
 *
 * @throws UsageError when there is no such user or group.
 */
export function identityFor(runAs: string | undefined, starter: Starter): Identity | null {
  if (runAs !== undefined) return parseIdentity(runAs);
  if (starter.uid !== 0 || !starter.inFirstUserNamespace) return null;
  return userNamed("nobody") ?? NOBODY;
}

function parseIdentity(text: string): Identity {
  const [user, group, ...rest] = text.split(":");
  const entry = isNumber(user) ? userNumbered(Number(user)) : userNamed(user);
  const uid = isNumber(user) ? Number(user) : entry?.uid;
  if (uid === undefined || uid > ID_MAX || rest.length > 0) throw new UsageError(`--runas: there is no user '${text}'`);
  if (group === undefined) return { uid, gid: entry?.gid ?? uid };
  const gid = isNumber(group) ? Number(group) : groupNamed(group);
  if (gid === null || gid > ID_MAX) throw new UsageError(`--runas: there is no group '${group}'`);
  return { uid, gid };
}

const isNumber = (text: string): boolean => /^\d{1,10}$/.test(text);

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
