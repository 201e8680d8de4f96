/** How long a driver has to hear its call, in ms; the next time twice as long, and so on. */
const HEARD_MS = 5;
/** The same when it has got more since that it would be called for, in ms. */
const HEARD_BEFORE_NEWS_MS = 0.05;
/** Calls that are repeated in a row. */
const REPEATS_MAX = 3;

/**
 * When a driver is to be called once more, since it shows nothing of the call before.
 *
 * A call can get lost: User-Mode Linux gets one as a signal, and one that comes while its kernel is about to sleep is noted and
 * then slept on until some timer of the guest ends, a fifth of a second later or never. With event indexes a driver that
 * heard a call says so (`DeviceQueue.isNotificationUnheard`). One that was only slow is called once too often, which does no
 * harm.
 */
export class CallRepeat {
  /** When the driver is to have heard, in ms; Infinity: it has, or was not called. */
  dueMs: number = Infinity;
  #calledMs = 0;
  #repeats = 0;

  /** Forgets the last call. */
  clear(): void {
    this.dueMs = Infinity;
  }

  /** The driver was called. */
  called(nowMs: number): void {
    this.#calledMs = nowMs;
    this.#repeats = 0;
    this.dueMs = nowMs + HEARD_MS;
  }

  /**
   * Says whether to call again.
   *
   * @param isUnheard the driver shows nothing of the last call.
   * @param hasNews it has got more since that it would be called for, had it heard of what was there before.
   */
  isDue(isUnheard: boolean, hasNews: boolean, nowMs: number): boolean {
    if (!isUnheard) this.dueMs = Infinity;
    if (this.dueMs === Infinity) return false;
    const isFirst = this.#repeats === 0;
    const isLong = nowMs >= this.dueMs || (hasNews && isFirst && nowMs - this.#calledMs > HEARD_BEFORE_NEWS_MS);
    if (!isLong) return false;
    this.#repeats++;
    this.dueMs = this.#repeats < REPEATS_MAX ? nowMs + (HEARD_MS << this.#repeats) : Infinity;
    return true;
  }
}
