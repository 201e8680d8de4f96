import type { Log, LogLevel } from "./log.ts";

/** Lines of one kind that are logged one by one; more are counted. */
export const LINES_LOGGED = 20;

/**
 * The log of one connection for what a front-end or a guest can bring about as often as it likes: of each kind the
 * first {@link LINES_LOGGED} lines, and in the end how many more there were.
 */
export class RepeatedLines {
  readonly #log: Log;
  readonly #counts = new Map<string, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Logs a line, or counts it. @param kind what it is about, for the count: fit to follow "7 more lines about". */
  write(kind: string, level: LogLevel, text: string): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (count <= LINES_LOGGED) this.#log(level, text);
  }

  /** Logs how many lines were not, and begins anew. */
  close(): void {
    for (const [kind, count] of this.#counts) {
      if (count > LINES_LOGGED) this.#log("warning", `${count - LINES_LOGGED} more lines about ${kind}`);
    }
    this.#counts.clear();
  }
}
