/** Unsolicited advertisements go out at random distances between these (RFC 4861 section 6.2.1: 200 s and 600 s). */
const INTERVAL_MIN_MS = 200_000;
const INTERVAL_MAX_MS = 600_000;

/** News are said so often, at this distance (RFC 4861 section 10, MAX_INITIAL_RTR_ADVERTISEMENTS and ..._INTERVAL). */
const NEWS_ROUNDS = 3;
const NEWS_INTERVAL_MS = 16_000;

/** When unsolicited router advertisements go out. */
export class AdvertisementSchedule {
  /** When {@link AdvertisementSchedule.due} says yes; Infinity while nobody is there. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  /** Rounds in which the news at hand are still to be said. */
  newsRounds = 0;

  /** Whether there is somebody to advertise to. */
  get isRunning(): boolean {
    return this.deadlineMs !== Number.POSITIVE_INFINITY;
  }

  /** Somebody is there: the first advertisement comes after the usual time. `random` is uniform in [0, 1). */
  start(nowMs: number, random: number): void {
    this.deadlineMs = nowMs + INTERVAL_MIN_MS + random * (INTERVAL_MAX_MS - INTERVAL_MIN_MS);
    this.newsRounds = 0;
  }

  /** There are news: a round is due at once, further ones soon after it. */
  startNews(nowMs: number): void {
    this.deadlineMs = nowMs;
    this.newsRounds = NEWS_ROUNDS;
  }

  /** Whether a round of advertisements is due. */
  due(nowMs: number): boolean {
    return nowMs >= this.deadlineMs;
  }

  /** A round went out: sets the time of the next one. */
  roundDone(nowMs: number, random: number): void {
    if (this.newsRounds > 1) {
      this.newsRounds--;
      this.deadlineMs = nowMs + NEWS_INTERVAL_MS;
    } else this.start(nowMs, random);
  }

  stop(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.newsRounds = 0;
  }
}
