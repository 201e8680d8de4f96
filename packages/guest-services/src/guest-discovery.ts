/** How often a guest that does not answer is asked, and at what distance (RFC 4861 section 10, RFC 1122 2.3.2.1). */
const ROUNDS = 3;
const INTERVAL_MS = 1000;

/** What to ask next. */
export const Question = { none: 0, arp: 1, ndp: 2 } as const;

/** When to ask a guest that has said nothing yet for its MAC address: once frames can reach it, and a little later. */
export class GuestDiscovery {
  /** When {@link GuestDiscovery.next} has a question; Infinity when there is none. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  #roundsLeft = 0;
  #question: number = Question.arp;

  /** Frames can reach the guest from now on. */
  start(nowMs: number): void {
    this.deadlineMs = nowMs;
    this.#roundsLeft = ROUNDS;
    this.#question = Question.arp;
  }

  stop(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  /**
   * The question to ask now, a value of {@link Question}; it counts as asked.
   *
   * @param isKnown whether the MAC address is known by now, so that nothing is left to ask.
   */
  next(nowMs: number, isKnown: boolean): number {
    if (nowMs < this.deadlineMs) return Question.none;
    if (isKnown) {
      this.stop();
      return Question.none;
    }
    if (this.#question === Question.arp) {
      this.#question = Question.ndp;
      return Question.arp;
    }
    this.#question = Question.arp;
    this.#roundsLeft--;
    if (this.#roundsLeft > 0) this.deadlineMs = nowMs + INTERVAL_MS;
    else this.stop();
    return Question.ndp;
  }
}
