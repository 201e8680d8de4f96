/** How often it is looked whether the program is idle. */
export const IDLE_LOOK_MS = 2000;
/** Who uses less processor time than this between two looks is idle. */
const IDLE_CPU_MS = 40;

/** Gives memory back once whenever the program has become idle: after its start, and when a guest has booted. */
export class IdleMemory {
  readonly #usedMs: () => number;
  readonly #release: () => void;
  #lastMs: number;
  #released = false;

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
    if (isIdle && !this.#released) this.#release();
    this.#released = isIdle;
  }
}
