import { readFileSync, readlinkSync } from "node:fs";
import { libc, resultOf } from "./libc.ts";

const MADV_DONTNEED = 4;

/** A mapping of /proc/self/maps: begin, end, permissions, and behind three more columns the file. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ +(.+)$/gm;

/**
 * Gives the pages back that hold the machine code of the running program: what it needs only at its start need not stay.
 * What is used again comes back from the page cache, a fault for each 64 KiB. Nobody writes to these pages, so nothing is
 * lost.
 *
 * Returns the number of mappings that were released.
 */
export function releaseProgramCode(): number {
  const program = readlinkSync("/proc/self/exe");
  let released = 0;
  for (const [, begin, end, permissions, file] of readFileSync("/proc/self/maps", "utf8").matchAll(MAPPING)) {
    if (file !== program || permissions !== "r-xp") continue;
    const address = Number.parseInt(begin, 16);
    if (resultOf(libc.madvise(address, Number.parseInt(end, 16) - address, MADV_DONTNEED)) === 0) released++;
  }
  return released;
}
