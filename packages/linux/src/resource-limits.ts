import { libc } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { orThrow } from "./system-error.ts";

const RLIMIT_NOFILE = 7;

/** A soft limit, which holds, and the hard one that it can be raised to; Infinity for no limit. */
export interface ResourceLimit {
  readonly soft: number;
  readonly hard: number;
}

/** How many descriptors the process may have open. @throws SystemError */
export function openFilesLimit(): ResourceLimit {
  const native = new NativeBuffer(16);
  orThrow(libc.getrlimit(RLIMIT_NOFILE, native.address), "getrlimit");
  return { soft: limitAt(native.view, 0), hard: limitAt(native.view, 8) };
}

/** Raises the soft limit of open files to the hard one; the limit that holds now. @throws SystemError */
export function raiseOpenFilesLimit(): number {
  const native = new NativeBuffer(16);
  orThrow(libc.getrlimit(RLIMIT_NOFILE, native.address), "getrlimit");
  native.view.setBigUint64(0, native.view.getBigUint64(8, true), true);
  orThrow(libc.setrlimit(RLIMIT_NOFILE, native.address), "setrlimit");
  return limitAt(native.view, 8);
}

function limitAt(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value === 0xffff_ffff_ffff_ffffn ? Number.POSITIVE_INFINITY : Number(value);
}
