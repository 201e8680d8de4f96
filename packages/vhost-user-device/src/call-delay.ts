/** How long a driver waits for its call at most, in ms. */
const CALL_DELAY_MS = 5;
/** Frames, and their bytes, for which the driver is called at once: it, or a socket of the guest, may wait for the room. */
const CALL_FRAMES = 32;
const CALL_BYTES = 1024;

/** How soon a frame that is received is the answer to one that was sent, in ms. */
const ANSWER_MS = 2;
/** The score from which the next answer is counted on, at first and at most, and how far it goes above. */
const NEEDED_MIN = 16;
const NEEDED_MAX = 1024;
const SPARE = 16;
/** What a frame takes away whose answer is late; an answer in time adds 1. */
const LATE_COST = 2;
/** Answers that were counted on and came, after which half the score is enough. */
const TRUSTED = 64;

/**
 * When the driver is to be called for what can wait: for transmit buffers that it has back already, and for frames that
 * nobody waits for (`FrameBatch.canWait`), which it has already too.
 *
 * Drivers look at all that anyway when they are called for another frame, and then want no call any more (used_event of virtio
 * 1.3, 2.7.10). So where frames of the guest are soon followed by one to the guest, as requests are by answers and
 * acknowledgments by the next piece of a stream, the call for a few short frames waits, and most of the time is never made: an
 * interrupt less for the guest. Anywhere else the driver is called at once, for it may hold back its next frame until then. A
 * guest that was made to wait in vain has to show more answers before it is made to wait again. Whether waiting is the better
 * way for frames that nobody waits for is another question: see `CallTrial`.
 */
export class CallDelay {
  /** When the call is due, in ms; Infinity: nothing is owed. */
  dueMs: number = Infinity;
  #framesMax = 0;
  /** Frames since the driver was last asked, and bytes since it was last called for received frames. */
  #frames = 0;
  #bytes = 0;
  /** When the first frames went back that nothing has followed, in ms; Infinity: something has. */
  #unansweredMs = Infinity;
  /** The score, what it has to be, and how often it was right since that changed. */
  #answers = 0;
  #needed = NEEDED_MIN;
  #trusted = 0;

  /** Begins anew. @param framesMax frames that may wait for a call; 0: none. */
  bind(framesMax: number): void {
    this.#framesMax = Math.min(framesMax, CALL_FRAMES);
    this.#unansweredMs = Infinity;
    this.#answers = 0;
    this.#needed = NEEDED_MIN;
    this.#trusted = 0;
    this.#clear();
  }

  /** So many frames went back to the driver. */
  add(frames: number, lengthBytes: number, nowMs: number): void {
    this.#frames += frames;
    this.#bytes += lengthBytes;
    if (nowMs - this.#unansweredMs > ANSWER_MS) {
      this.#late();
      this.#unansweredMs = nowMs;
    } else this.#unansweredMs = Math.min(this.#unansweredMs, nowMs);
    const mayWait = this.#isTrusted && this.#frames < this.#framesMax && this.#bytes < CALL_BYTES;
    this.dueMs = mayWait ? Math.min(this.dueMs, nowMs + CALL_DELAY_MS) : nowMs;
  }

  /** The driver got frames that cannot wait, for which it was called if it wanted that. */
  answered(nowMs: number): void {
    if (this.#unansweredMs === Infinity) return;
    if (nowMs - this.#unansweredMs > ANSWER_MS) this.#late();
    else this.#inTime();
    this.#unansweredMs = Infinity;
    // The socket whose bytes these were has most likely got its room.
    this.#bytes = 0;
  }

  /** The call was due, and the driver was asked whether it still wants it: when it waited without an answer, none is counted on. */
  asked(isWanted: boolean, nowMs: number): void {
    if (isWanted && nowMs - this.#unansweredMs > ANSWER_MS) {
      this.#answers = 0;
      this.#needed = Math.min(NEEDED_MAX, this.#needed * 2);
      this.#trusted = 0;
    }
    this.#clear();
  }

  get #isTrusted(): boolean {
    return this.#answers >= this.#needed;
  }

  #inTime(): void {
    if (this.#isTrusted && ++this.#trusted === TRUSTED) {
      this.#needed = Math.max(NEEDED_MIN, this.#needed / 2);
      this.#trusted = 0;
    }
    this.#answers = Math.min(this.#answers + 1, this.#needed + SPARE);
  }

  #late(): void {
    this.#answers = Math.max(0, this.#answers - LATE_COST);
  }

  #clear(): void {
    this.dueMs = Infinity;
    this.#frames = 0;
    this.#bytes = 0;
  }
}
