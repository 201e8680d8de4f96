/** How long a driver has to hear its call, in ms: at least, at most and at first; twice as long each next time in a row. */
const HEARD_MIN_MS = 0.25;
const HEARD_MAX_MS = 5;
/** The longest wait before a call is made once more, in ms. */
const REPEAT_MAX_MS = 20;
/** The wait when the driver has got more since that it would be called for, once, in ms. */
const NEWS_MS = 0.05;
/** Calls that were heard in time, after which a driver gets twice as long. */
const HEARD_IN_TIME = 64;

/**
 * When a driver is to be called once more, since it shows nothing of the call before.
 *
 * A call can get lost: User-Mode Linux gets one as a signal, and one that comes while its kernel is about to sleep is noted and
 * then slept on until some timer of the guest ends, a fifth of a second later or never. With event indexes a driver that
 * heard a call says so (`DeviceQueue.isNotificationUnheard`). One that was only slow is called once too often, which does no
 * harm. One that does not hear its calls is asked sooner.
 */
export class CallRepeat {
  /** When the driver is to have heard, in ms; Infinity: it has, or was not called. */
  dueMs: number = Infinity;
  #heardMs = HEARD_MAX_MS;
  #heardInTime = 0;
  #calledMs = 0;
  #waitMs = 0;
  /** It was called again for news. */
  #hadNews = false;

  /** Forgets the last call. */
  clear(): void {
    this.dueMs = Infinity;
  }

  /** The driver was called. */
  called(nowMs: number): void {
    this.#calledMs = nowMs;
    this.#hadNews = false;
    this.#waitMs = this.#heardMs;
    this.dueMs = nowMs + this.#waitMs;
  }

  /**
   * Says whether to call again.
   *
   * @param isUnheard the driver shows nothing of the last call.
   * @param hasNews it has got more since that it would be called for, had it heard of what was there before.
   */
  isDue(isUnheard: boolean, hasNews: boolean, nowMs: number): boolean {
    if (this.dueMs === Infinity) return false;
    if (!isUnheard) {
      this.#heard();
      return false;
    }
    if (nowMs >= this.dueMs) {
      this.#heardInTime = 0;
      this.#heardMs = Math.max(HEARD_MIN_MS, this.#heardMs / 2);
      this.#waitMs *= 2;
      this.dueMs = this.#waitMs <= REPEAT_MAX_MS ? nowMs + this.#waitMs : Infinity;
      return true;
    }
    if (!hasNews || this.#hadNews || nowMs - this.#calledMs < NEWS_MS) return false;
    this.#hadNews = true;
    this.dueMs = nowMs + this.#waitMs;
    return true;
  }

  #heard(): void {
    this.dueMs = Infinity;
    if (++this.#heardInTime < HEARD_IN_TIME) return;
    this.#heardInTime = 0;
    this.#heardMs = Math.min(HEARD_MAX_MS, this.#heardMs * 2);
  }
}
