import type { Log } from "./log.ts";

/** Who writes, and how much at most. */
export interface LineLimiterOptions {
  readonly log: Log;
  /** What the lines are about, for the one that says how many were left out: "the guest". */
  readonly about: string;
  readonly linesMax?: number;
  readonly periodMs?: number;
}

const LINES_MAX_DEFAULT = 10;
const PERIOD_MS_DEFAULT = 1000;

/** Keeps somebody else's doings from filling the log: so many lines in a period, then one that counts the others. */
export class LineLimiter {
  readonly #options: Required<LineLimiterOptions>;
  #endMs = 0;
  #written = 0;
  #leftOut = 0;

  constructor(options: LineLimiterOptions) {
    this.#options = { linesMax: LINES_MAX_DEFAULT, periodMs: PERIOD_MS_DEFAULT, ...options };
  }

  /** When {@link LineLimiter.turn} has something to say, or Infinity. */
  get deadlineMs(): number {
    return this.#leftOut === 0 ? Number.POSITIVE_INFINITY : this.#endMs;
  }

  /** Whether a line may be written now. It counts as written then, else as left out. */
  admits(nowMs: number): boolean {
    this.turn(nowMs);
    if (nowMs >= this.#endMs) {
      this.#endMs = nowMs + this.#options.periodMs;
      this.#written = 0;
    }
    const isAdmitted = this.#written < this.#options.linesMax;
    if (isAdmitted) this.#written++;
    else this.#leftOut++;
    return isAdmitted;
  }

  /** Says at the end of a period what was left out. */
  turn(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    const { log, about } = this.#options;
    log("info", `${this.#leftOut} further ${this.#leftOut === 1 ? "line" : "lines"} about ${about} left out`);
    this.#leftOut = 0;
  }
}
