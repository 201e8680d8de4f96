/** Answers for which one way is tried before the other one, and how many such rounds a trial has. */
const ROUND_ANSWERS = 64;
const ROUNDS = 16;
/** For how many answers the outcome holds. */
const HOLD_ANSWERS = 8192;
/** What an answer counts for at most, in ms: a stall says nothing about the way. */
const ANSWER_MAX_MS = 1;
/** How much less time answers must take, as a share of it, for calls at once. */
const GAIN = 0.01;

/**
 * Finds out whether a guest that is called at once for frames that nobody waits for gets the next ones sooner.
 *
 * A guest that sleeps takes a while to wake. Where it has a processor of its own, and the next frame follows within that
 * while, it is awake the sooner; anywhere else one more interrupt is only more work. Nothing in the rings says which it is, so
 * both ways are tried in turns, and the time from frame to frame is compared.
 */
export class CallTrial {
  /** The way that is tried now, or has won: to call at once. */
  isAtOnce: boolean = false;
  /** The time that the answers of this trial took, in ms: those of either way. */
  #waitingMs = 0;
  #atOnceMs = 0;
  #answers = 0;
  #rounds = 0;
  #lastMs = Infinity;

  /** Begins anew. */
  bind(): void {
    this.#begin();
    this.#lastMs = Infinity;
  }

  /** The driver got frames that somebody waits for. @param nowMs Infinity: nobody knows when, so it does not count. */
  answered(nowMs: number): void {
    if (nowMs === Infinity) return;
    const ms = Math.min(ANSWER_MAX_MS, Math.max(0, nowMs - this.#lastMs));
    this.#lastMs = nowMs;
    this.#answers++;
    if (this.#rounds === ROUNDS) {
      if (this.#answers >= HOLD_ANSWERS) this.#begin();
      return;
    }
    if (this.isAtOnce) this.#atOnceMs += ms;
    else this.#waitingMs += ms;
    if (this.#answers < ROUND_ANSWERS) return;
    this.#answers = 0;
    this.isAtOnce = !this.isAtOnce;
    this.#rounds++;
    if (this.#rounds === ROUNDS) this.isAtOnce = this.#atOnceMs < this.#waitingMs * (1 - GAIN);
  }

  #begin(): void {
    this.isAtOnce = false;
    this.#waitingMs = 0;
    this.#atOnceMs = 0;
    this.#answers = 0;
    this.#rounds = 0;
  }
}
