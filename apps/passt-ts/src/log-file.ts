import { closeSync, ftruncateSync, readSync, writeSync } from "node:fs";
import type { LogLevel } from "./log.ts";

/** What stands before a line of each level, padded to one width. */
const PREFIX: Record<LogLevel, string> = {
  error: "ERROR:   ",
  warning: "WARNING: ",
  info: "info:    ",
  debug: "         ",
  trace: "         ",
};

/** The part of a full log that goes: the oldest lines. */
const CUT_FRACTION = 0.3;
const NEWLINE = 0x0a;

/** What a log file needs. */
export interface LogFileOptions {
  /** An empty file, open for reading and writing; the log closes it. */
  readonly fd: number;
  /** Its first line, which is never cut off. */
  readonly header: string;
  readonly sizeMaxBytes: number;
  /** Seconds since the program began. */
  readonly seconds: () => number;
}

/**
 * A log in a file that never grows beyond a size: when it is full, its oldest lines go and a line says so. The file is
 * opened once and written by its descriptor, so that it may be out of our reach later.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #sizeBytes = 0;
  #headerBytes = 0;

  constructor(options: LogFileOptions) {
    this.#options = options;
    this.#append(`${options.header}\n`);
    this.#headerBytes = this.#sizeBytes;
  }

  /** Adds a line. A disk that is full costs it the line and does not throw. */
  write(level: LogLevel, text: string): void {
    const time = this.#options.seconds().toFixed(4);
    try {
      for (const line of text.split("\n")) this.#add(`${time}: ${PREFIX[level]}${line}\n`);
    } catch {
      // There is nobody left to tell.
    }
  }

  close(): void {
    closeSync(this.#options.fd);
  }

  #add(line: string): void {
    const lengthBytes = Buffer.byteLength(line);
    const { sizeMaxBytes } = this.#options;
    if (this.#sizeBytes + lengthBytes > sizeMaxBytes) this.#cut(sizeMaxBytes);
    // A line that is longer than what is left then would be cut off again at once.
    if (this.#sizeBytes + lengthBytes <= sizeMaxBytes) this.#append(line);
  }

  #cut(sizeMaxBytes: number): void {
    const { fd, seconds } = this.#options;
    const old = Buffer.alloc(this.#sizeBytes);
    const read = readSync(fd, old, 0, old.length, 0);
    const keepFrom = old.indexOf(NEWLINE, this.#headerBytes + Math.floor(CUT_FRACTION * sizeMaxBytes)) + 1;
    const kept = keepFrom === 0 ? old.subarray(0, 0) : old.subarray(keepFrom, read);
    this.#sizeBytes = this.#headerBytes;
    this.#append(`${seconds().toFixed(4)}: ${PREFIX.info}log truncated at ${new Date().toISOString()}\n`);
    this.#sizeBytes += writeSync(fd, kept, 0, kept.length, this.#sizeBytes);
    ftruncateSync(fd, this.#sizeBytes);
  }

  #append(text: string): void {
    this.#sizeBytes += writeSync(this.#options.fd, text, this.#sizeBytes);
  }
}
