/** Intervals for which one way is tried before the other one, and how many such rounds a trial has: as many of either way. */
const ROUND_INTERVALS = 64;
const ROUNDS = 16;
/** For how many intervals the outcome holds. */
const HOLD_INTERVALS = 8192;
/** An interval that is no shorter was a stall, which says nothing about the way. */
const STALL_MS = 1;
/** How much less time the intervals must take, as a share of it, for calls at once. */
const GAIN = 0.02;

/**
 * Finds out whether a guest that is called at once for frames that nobody waits for gets the next ones sooner.
 *
 * A guest that sleeps takes a while to wake. Where it has a processor of its own, and the next frame follows within that
 * while, it is awake the sooner; anywhere else one more interrupt is only more work. Nothing in the rings says which it is, so
 * both ways are tried in turns, and the intervals are compared between frames that somebody waits for.
 */
export class CallTrial {
  /** The way that is tried now, or has won: to call at once. */
  isAtOnce: boolean = false;
  /** The intervals of this trial, in ms: those of either way. */
  #waitingMs = 0;
  #atOnceMs = 0;
  #intervals = 0;
  #rounds = 0;
  /** When the interval that runs began, and whether the way made a difference in it. */
  #beganMs = Infinity;
  #hadChoice = false;

  /** Begins anew. */
  bind(): void {
    this.#begin();
    this.#beganMs = Infinity;
    this.#hadChoice = false;
  }

  /** The driver got frames whose call could wait. */
  noteChoice(): void {
    this.#hadChoice = true;
  }

  /** The driver got frames that somebody waits for. @param nowMs Infinity: nobody knows when. */
  answered(nowMs: number): void {
    const ms = nowMs - this.#beganMs;
    const counts = this.#hadChoice && ms >= 0 && ms < STALL_MS;
    this.#beganMs = nowMs;
    this.#hadChoice = false;
    if (counts) this.#add(ms);
  }

  #add(ms: number): void {
    this.#intervals++;
    if (this.#rounds === ROUNDS) {
      if (this.#intervals >= HOLD_INTERVALS) this.#begin();
      return;
    }
    if (this.isAtOnce) this.#atOnceMs += ms;
    else this.#waitingMs += ms;
    if (this.#intervals < ROUND_INTERVALS) return;
    this.#intervals = 0;
    this.isAtOnce = !this.isAtOnce;
    this.#rounds++;
    if (this.#rounds === ROUNDS) this.isAtOnce = this.#atOnceMs < this.#waitingMs * (1 - GAIN);
  }

  #begin(): void {
    this.isAtOnce = false;
    this.#waitingMs = 0;
    this.#atOnceMs = 0;
    this.#intervals = 0;
    this.#rounds = 0;
  }
}
