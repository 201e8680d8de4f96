import { closeSync, openSync } from "node:fs";
import { duplicateFd } from "@passt-ts/linux/owned-fd";
import { filteredLog, type Log, type LogLevel, logToStderr } from "./log.ts";
import { LogFile } from "./log-file.ts";
import { openOutputFile } from "./output-file.ts";
import { SystemLog } from "./system-log.ts";

const STANDARD_ERROR = 2;

/** Where the program's log goes. */
export interface ProgramLogOptions {
  /** Lines of less importance are left out. */
  readonly level: LogLevel;
  /** A file instead of the system log, or null. */
  readonly path: string | null;
  readonly sizeMaxBytes: number;
  readonly program: string;
  readonly version: string;
}

/** The program's log: standard error as long as somebody may read it, and a file or the system log. */
export class ProgramLog implements Disposable {
  readonly write: Log;
  readonly #kept: LogFile | SystemLog;
  #hasStandardError = true;

  /** @throws UsageError when the file cannot be written. */
  constructor(options: ProgramLogOptions) {
    const { level, path, sizeMaxBytes, program, version } = options;
    const seconds = (): number => performance.now() / 1000;
    const header = `${version}: ${process.execPath} (${process.pid})`;
    this.#kept =
      path === null
        ? new SystemLog({ program, pid: process.pid })
        : new LogFile({ fd: openOutputFile(path, "--log-file", "w+"), header, sizeMaxBytes, seconds });
    const isTimed = level === "debug" || level === "trace";
    this.write = filteredLog(level, (lineLevel, text) => {
      this.#kept.write(lineLevel, text);
      if (this.#hasStandardError) logToStderr(lineLevel, isTimed ? `${seconds().toFixed(4)}: ${text}` : text);
    });
  }

  /** Adds an error to the file or the system log alone: standard error gets it from somebody else. */
  record(text: string): void {
    this.#kept.write("error", text);
  }

  /** Lets go of standard error, in the background: who started us may read it to its end. */
  leaveStandardError(): void {
    this.#hasStandardError = false;
    const nowhere = openSync("/dev/null", "w");
    duplicateFd(nowhere, STANDARD_ERROR);
    closeSync(nowhere);
  }

  [Symbol.dispose](): void {
    this.#kept.close();
  }
}
