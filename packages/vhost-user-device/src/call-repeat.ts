/** How long a driver has to hear its call, in ms: at first and at most, and at least (a loop that sleeps waits 1 ms). */
const HEARD_MAX_MS = 5;
const HEARD_MIN_MS = 0.25;
/** The longest wait between two repeats of a call, in ms; each is twice as long as the one before. */
const REPEAT_MAX_MS = 20;
/** Calls that were heard in time, after which a driver gets twice as long. */
const HEARD_IN_TIME = 1024;
/** The wait before a driver is called again that has got more since, in ms, and for how many calls after one was missed. */
const NEWS_MS = 0.05;
const NEWS_CALLS = 4096;

/**
 * When a driver is to be called once more, since it shows nothing of the call before.
 *
 * A call can get lost: User-Mode Linux gets one as a signal, and one that comes while its kernel is about to sleep is noted and
 * then slept on until some timer of the guest ends, a fifth of a second later or never. With event indexes a driver that
 * heard a call says so (`DeviceQueue.isNotificationUnheard`). One that was only slow is called once too often, which does no
 * harm. One that misses calls is called again sooner, and with its next frames.
 */
export class CallRepeat {
  /** When a call has to be made again if it is still unheard, in ms; or Infinity. */
  dueMs: number = Infinity;
  /** There was a call that may not have been heard yet. */
  isPending = false;
  #heardMs = HEARD_MAX_MS;
  #heardInTime = 0;
  #waitMs = 0;
  /** From when on a call is made for news, in ms; whether there are any; and for how many calls that goes on. */
  #newsMs = 0;
  #hasNews = false;
  #newsCalls = 0;

  /** Begins anew, with a driver of which nothing is known. */
  bind(): void {
    this.dueMs = Infinity;
    this.isPending = false;
    this.#heardMs = HEARD_MAX_MS;
    this.#heardInTime = 0;
    this.#newsCalls = 0;
  }

  /** The driver was called as it wanted, so it had heard the call before. @param nowMs Infinity: it need not show that it hears. */
  called(nowMs: number): void {
    if (this.isPending) this.#heard();
    this.isPending = nowMs !== Infinity;
    this.#waitMs = this.#heardMs;
    this.dueMs = nowMs + this.#waitMs;
    this.#newsMs = nowMs + NEWS_MS;
    this.#hasNews = false;
    if (this.#newsCalls > 0) this.#newsCalls--;
  }

  /**
   * Says whether to call again.
   *
   * @param isUnheard the driver shows nothing of the last call.
   * @param hasNews it has got more since this was last asked that it would be called for, had it heard of what was there before.
   */
  isDue(isUnheard: boolean, hasNews: boolean, nowMs: number): boolean {
    if (!this.isPending) return false;
    if (!isUnheard) {
      this.#heard();
      return false;
    }
    if (nowMs >= this.dueMs) {
      this.#missed(nowMs);
      return true;
    }
    if (hasNews) this.#hasNews = true;
    if (!this.#hasNews || this.#newsCalls === 0 || nowMs < this.#newsMs) return false;
    this.#hasNews = false;
    this.#newsMs = nowMs + REPEAT_MAX_MS;
    return true;
  }

  #heard(): void {
    this.isPending = false;
    this.dueMs = Infinity;
    if (++this.#heardInTime < HEARD_IN_TIME) return;
    this.#heardInTime = 0;
    this.#heardMs = Math.min(HEARD_MAX_MS, this.#heardMs * 2);
  }

  #missed(nowMs: number): void {
    const isFirst = this.#waitMs <= this.#heardMs;
    this.#heardInTime = 0;
    this.#newsCalls = NEWS_CALLS;
    this.#waitMs *= 2;
    this.dueMs = this.#waitMs <= REPEAT_MAX_MS ? nowMs + this.#waitMs : Infinity;
    if (isFirst) this.#heardMs = Math.max(HEARD_MIN_MS, this.#heardMs / 2);
  }
}
