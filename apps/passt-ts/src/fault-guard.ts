import type { Log } from "./log.ts";

/** How many faults within which time are too many to go on. */
export interface FaultLimits {
  readonly faultsMax: number;
  readonly windowMs: number;
}

const DEFAULT_LIMITS: FaultLimits = { faultsMax: 10, windowMs: 60_000 };
/** Stacks remembered, so that each is logged once. */
const STACKS_MAX = 100;

/** What becomes of exceptions that nothing foresaw: each is logged with its stack once, and too many in a row end it. */
export class FaultGuard {
  readonly #log: Log;
  readonly #limits: FaultLimits;
  readonly #timesMs: number[] = [];
  readonly #seen: Set<string> = new Set();

  constructor(log: Log, limits: FaultLimits = DEFAULT_LIMITS) {
    this.#log = log;
    this.#limits = limits;
  }

  /** Takes note of an exception; returns when things may go on, as if nothing had been. @throws Error after too many. */
  caught(error: unknown, nowMs: number): void {
    const { faultsMax, windowMs } = this.#limits;
    const message = error instanceof Error ? error.message : String(error);
    const stack = error instanceof Error ? (error.stack ?? message) : message;
    const isNew = !this.#seen.has(stack) && this.#seen.size < STACKS_MAX;
    if (isNew) this.#seen.add(stack);
    this.#log("error", isNew ? `unexpected: ${stack}` : `unexpected, again: ${message}`);
    this.#timesMs.push(nowMs);
    while (this.#timesMs[0] <= nowMs - windowMs) this.#timesMs.shift();
    if (this.#timesMs.length >= faultsMax)
      throw new Error(`${faultsMax} unexpected errors within ${windowMs / 1000} s: giving up`);
  }
}
