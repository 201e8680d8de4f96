// What this process holds: what a device leaves behind shows here.

import { readdirSync, readFileSync } from "node:fs";

export interface Held {
  readonly fds: number;
  /** Mappings of memory files. */
  readonly maps: number;
}

export function heldFds(): number {
  return readdirSync("/proc/self/fd").length;
}

export function held(): Held {
  return { fds: heldFds(), maps: readFileSync("/proc/self/maps", "utf8").split("memfd:").length - 1 };
}
