/** How long a driver waits for its call at most, in ms. */
const CALL_DELAY_MS = 5;
/** Frames, and their bytes, for which the driver is called at once: it, or a socket of the guest, may wait for the room. */
const CALL_FRAMES = 32;
const CALL_BYTES = 1024;

/** How soon a frame that is received is the answer to one that was sent, in ms. */
const ANSWER_MS = 1;
/** The score from which the next answer is counted on, the highest, and what a missing answer takes away; one adds 1. */
const ANSWERS_MIN = 16;
const ANSWERS_MAX = 32;
const MISS_COST = 8;

/**
 * When the driver is to be called for transmit buffers that it has back already.
 *
 * Drivers look at them anyway when they are called for a received frame, and then want no call any more (used_event of virtio
 * 1.3, 2.7.10). So where each frame of the guest is soon followed by one to the guest, as requests are by answers and
 * acknowledgments by the next piece of a stream, the call for a few short frames waits, and most of the time is never made: an
 * interrupt less for the guest. Anywhere else the driver is called at once, for it may hold back its next frame until then.
 */
export class CallDelay {
  /** When the call is due, in ms; Infinity: nothing is owed. */
  dueMs: number = Infinity;
  #framesMax = 0;
  /** Frames since the driver was last asked, and bytes since it was last called for received frames. */
  #frames = 0;
  #bytes = 0;
  /** When frames went back that nothing has followed, in ms; Infinity: something has. */
  #unansweredMs = Infinity;
  /** The score: answers, up to ANSWERS_MAX, less what missing ones cost. */
  #answers = 0;

  /** Begins anew. @param framesMax frames that may wait for a call; 0: none. */
  bind(framesMax: number): void {
    this.#framesMax = Math.min(framesMax, CALL_FRAMES);
    this.#unansweredMs = Infinity;
    this.#answers = 0;
    this.#clear();
  }

  /** So many frames went back to the driver. */
  add(frames: number, lengthBytes: number, nowMs: number): void {
    this.#frames += frames;
    this.#bytes += lengthBytes;
    if (this.#unansweredMs !== Infinity) this.#missed();
    this.#unansweredMs = nowMs;
    const mayWait = this.#answers >= ANSWERS_MIN && this.#frames < this.#framesMax && this.#bytes < CALL_BYTES;
    this.dueMs = mayWait ? Math.min(this.dueMs, nowMs + CALL_DELAY_MS) : nowMs;
  }

  /** The driver was called for received frames. */
  answered(nowMs: number): void {
    if (this.#unansweredMs === Infinity) return;
    if (nowMs - this.#unansweredMs > ANSWER_MS) this.#missed();
    else if (this.#answers < ANSWERS_MAX) this.#answers++;
    this.#unansweredMs = Infinity;
    // The socket whose bytes these were has most likely got its room.
    this.#bytes = 0;
  }

  /** The call was due, and the driver was asked whether it still wants it: when it waited without an answer, none is counted on. */
  asked(isWanted: boolean, nowMs: number): void {
    if (isWanted && this.#unansweredMs !== Infinity && this.#unansweredMs < nowMs) this.#answers = 0;
    this.#clear();
  }

  #missed(): void {
    this.#answers = Math.max(0, this.#answers - MISS_COST);
  }

  #clear(): void {
    this.dueMs = Infinity;
    this.#frames = 0;
    this.#bytes = 0;
  }
}
