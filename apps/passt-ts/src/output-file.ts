import { closeSync, open, openSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { UsageError } from "./usage-error.ts";

/** What we write is for its owner alone. */
const MODE = 0o600;

/** Opens a file that an option names, empty and for us alone. @returns the descriptor. @throws UsageError */
export function openOutputFile(path: string, option: string, flags: "w" | "w+" = "w"): number {
  try {
    return openSync(path, flags, MODE);
  } catch (error) {
    throw refusal(path, option, error);
  }
}

const openLater = promisify(open);

/** The same without holding the thread: a named pipe opens when somebody reads from it. @throws UsageError */
export async function openOutputStream(path: string, option: string): Promise<number> {
  try {
    return await openLater(path, "w", MODE);
  } catch (error) {
    throw refusal(path, option, error);
  }
}

function refusal(path: string, option: string, error: unknown): UsageError {
  return new UsageError(`${option}: cannot write '${path}': ${error instanceof Error ? error.message : String(error)}`);
}

/** Writes our process id, as other programs expect it, to an open file and closes it. */
export function writePidFile(fd: number): void {
  writeSync(fd, `${process.pid}\n`);
  closeSync(fd);
}
