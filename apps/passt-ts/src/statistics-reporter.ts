import type { Log } from "./log.ts";

/** What is reported, and how often. */
export interface StatisticsReporterOptions {
  /** Milliseconds between two lines at least; 0: none is logged. */
  readonly intervalMs: number;
  /** The counters in one line. */
  readonly text: () => string;
  readonly log: Log;
  readonly nowMs: number;
}

/** Logs the counters at intervals, as long as they change. */
export class StatisticsReporter {
  readonly #options: StatisticsReporterOptions;
  #last = "";
  /** When {@link StatisticsReporter.turn} is to be called at the latest, or Infinity. */
  deadlineMs: number;

  constructor(options: StatisticsReporterOptions) {
    this.#options = options;
    this.deadlineMs = options.intervalMs === 0 ? Number.POSITIVE_INFINITY : options.nowMs + options.intervalMs;
  }

  /** Logs what is due. */
  turn(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    const { intervalMs, text, log } = this.#options;
    this.deadlineMs = nowMs + intervalMs;
    const now = text();
    if (now !== this.#last) log("info", now);
    this.#last = now;
  }
}
