// Which processors the programs of a measurement may use. A guest of User-Mode Linux is two processes that hand a processor to each
// other at each of its system calls; where the kernel spreads them over two, each handover wakes a sleeping processor, and every row
// becomes many times slower. Whether it does changes from second to second, for any daemon.

import { readFileSync } from "node:fs";

export const placementNames = ["apart", "together", "guest", "free"] as const;
export type PlacementName = (typeof placementNames)[number];

export interface Placement {
  readonly name: PlacementName;
  /** Processors of the guest, or of the driver in its stead, as taskset(1) takes them; null: wherever the kernel likes. */
  readonly guest: string | null;
  /** Processors of the daemon and of its peers on the host. */
  readonly host: string | null;
}

/** The numbers in a list such as "0-2,5". */
export function processorsIn(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Processors that this program may use. */
export function allowedProcessors(): number[] {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return list === undefined ? [] : processorsIn(list);
}

/**
 * "apart": the guest on the first processor, all else on the others; "together": everything on the first; "guest": all else on
 * any; "free": the kernel decides. On one processor there is nothing to choose.
 */
export function placementOf(name: PlacementName, processors: readonly number[] = allowedProcessors()): Placement {
  if (name === "free" || processors.length < 2) return { name: "free", guest: null, host: null };
  const [first, ...others] = processors;
  const host = { apart: others, together: [first], guest: processors }[name];
  return { name, guest: String(first), host: host.join() };
}
