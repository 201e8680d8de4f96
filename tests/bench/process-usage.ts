// What a process has used of the machine, from /proc.

import { readFileSync } from "node:fs";

/** Clock ticks of /proc in a second; fixed in the kernel's interface to programs. */
const ticksPerSecond = 100;

/** Processor seconds so far, all threads. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory without what is shared with others, such as a guest's: RssAnon and RssFile, in MiB. */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = ["RssAnon", "RssFile"].map((name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]));
  return (kilobytes[0] + kilobytes[1]) / 1024;
}
