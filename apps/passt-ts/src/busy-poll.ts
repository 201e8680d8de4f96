/** What is polled: events, and the rings of the guest. */
export interface Polled {
  /** Waits at most so many milliseconds for events and has them handled. Returns how many there were. */
  wait(timeoutMs: number): number;
  /** Says whether the guest sent something since its kicks were left suppressed. */
  look(): boolean;
  /** Lets others run that wait for the processor: the guest may be one of them. */
  pause(): void;
  /** Asks for kicks again that were left suppressed; true when the guest has sent something first. */
  allowKicks(): boolean;
}

/** Waits longer than a spin, one after the other, after which it is no longer tried. */
const LONG_WAITS_MAX = 4;

/**
 * Waits for work by looking for it again and again, for a short time before it sleeps: saves the kick, the wake-up and
 * their system calls at the price of processor time.
 *
 * It adapts: after a few waits that a spin was too short for it sleeps at once, until something comes so soon after the
 * beginning of a wait that a spin would have met it.
 */
export class BusyPoll {
  readonly #spinMs: number;
  readonly #clock: () => number;
  #longWaits = 0;

  /** @param spinMs how long it looks before it sleeps; 0: not at all. @param clock monotonic milliseconds. */
  constructor(spinMs: number, clock: () => number) {
    this.#spinMs = spinMs;
    this.#clock = clock;
  }

  /** The next wait begins with a spin: kicks of the guest would only disturb it. */
  get spinsNext(): boolean {
    return this.#spinMs > 0 && this.#longWaits < LONG_WAITS_MAX;
  }

  /** Waits until there is work, or until `deadlineMs`. */
  wait(polled: Polled, deadlineMs: number): void {
    const beginMs = this.#clock();
    if (this.spinsNext && this.#spin(polled, Math.min(deadlineMs, beginMs + this.#spinMs))) {
      this.#longWaits = 0;
      return;
    }
    // Also what was left suppressed for a spin that did not come to be.
    if (polled.allowKicks()) {
      polled.wait(0);
      return;
    }
    const events = polled.wait(Math.max(0, deadlineMs - this.#clock()));
    if (this.#spinMs === 0) return;
    const isLong = this.#clock() - beginMs > this.#spinMs;
    if (isLong) this.#longWaits++;
    else if (events > 0) this.#longWaits = 0;
  }

  #spin(polled: Polled, endMs: number): boolean {
    do {
      if (polled.wait(0) > 0 || polled.look()) return true;
      polled.pause();
    } while (this.#clock() < endMs);
    return false;
  }
}
