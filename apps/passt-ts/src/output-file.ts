import { closeSync, openSync, writeSync } from "node:fs";
import { UsageError } from "./usage-error.ts";

/** Opens a file that an option names, empty and for us alone. @returns the descriptor. @throws UsageError */
export function openOutputFile(path: string, option: string, flags: "w" | "w+" = "w"): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    throw new UsageError(`${option}: cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Writes our process id, as other programs expect it, to an open file and closes it. */
export function writePidFile(fd: number): void {
  writeSync(fd, `${process.pid}\n`);
  closeSync(fd);
}
