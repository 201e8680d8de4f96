/** How often it is looked whether the program is idle. */
export const IDLE_LOOK_MS = 2000;
/** Who uses less processor time than this between two looks is idle. */
const IDLE_CPU_MS = 40;
/** What it must have used since memory was given back last: less has hardly touched any. */
const WORTH_CPU_MS = 20;

/**
 * Gives memory back whenever the program is idle and has worked since it did so last: after its start, and when a guest
 * has booted, which may take too little to count as busy.
 */
export class IdleMemory {
  readonly #usedMs: () => number;
  readonly #release: () => void;
  #lastMs: number;
  #releasedMs = -Infinity;

  /** @param usedMs processor time of the program so far. @param release gives back what can be had again. */
  constructor(usedMs: () => number, release: () => void) {
    this.#usedMs = usedMs;
    this.#release = release;
    this.#lastMs = usedMs();
  }

  /** To be called each {@link IDLE_LOOK_MS}. */
  look(): void {
    const usedMs = this.#usedMs();
    const isIdle = usedMs - this.#lastMs < IDLE_CPU_MS;
    this.#lastMs = usedMs;
    if (!isIdle || usedMs - this.#releasedMs < WORTH_CPU_MS) return;
    this.#release();
    // What it cost is no work that would be worth another one.
    this.#releasedMs = this.#usedMs();
  }
}
