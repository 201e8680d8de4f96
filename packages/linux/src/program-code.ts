import { readFileSync, readlinkSync } from "node:fs";
import { libc, resultOf } from "./libc.ts";

const MADV_DONTNEED = 4;

/** A mapping in /proc/self/smaps: begin, end, permissions, and behind three more columns the file. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ +(.+)$/;
/** Of the lines that follow it: pages that were written to, and so are no longer the file's, in memory or swapped out. */
const PRIVATE_PAGES = /^(?:Anonymous|Swap): +[1-9]/m;
/** Begins a mapping's lines. */
const MAPPINGS = /^(?=[0-9a-f]+-[0-9a-f]+ )/m;

/**
 * Gives the pages back that hold machine code and constants of the running program: what it needs only at its start need
 * not stay. What is used again comes back from the page cache, a fault for each 64 KiB. Only mappings that cannot be
 * written and hold no page but the file's are released, so nothing is lost.
 *
 * Returns the number of mappings that were released; 0 where the kernel does not tell what they hold.
 */
export function releaseProgramCode(): number {
  let mappings: string[];
  try {
    mappings = readFileSync("/proc/self/smaps", "utf8").split(MAPPINGS);
  } catch {
    return 0;
  }
  const program = readlinkSync("/proc/self/exe");
  let released = 0;
  for (const text of mappings) {
    const [, begin, end, permissions, file] = MAPPING.exec(text.slice(0, text.indexOf("\n"))) ?? [];
    if (file !== program || !/^r-[x-]p$/.test(permissions) || PRIVATE_PAGES.test(text)) continue;
    const address = Number.parseInt(begin, 16);
    if (resultOf(libc.madvise(address, Number.parseInt(end, 16) - address, MADV_DONTNEED)) === 0) released++;
  }
  return released;
}
