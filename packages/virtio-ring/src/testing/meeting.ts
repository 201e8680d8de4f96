// Each word has a cache line of its own, so that the threads meet as closely as they can.
const STARTED = 0;
const ARRIVED = 32;
const ANSWER = 96;
const IDLE = 128;

/** Words of 32 bits, shared by both threads and 0 at first, that a {@link Meeting} needs. */
export const MEETING_WORDS = 160;

/** Turns of spinning after which a thread gives its processor away for a moment: the other one may be waiting for it. */
const SPINS_MAX = 10_000;

/** Where two threads meet again and again, as close in time as they can: side 0 and side 1. */
export class Meeting {
  readonly #words: Int32Array;
  readonly #mine: number;
  readonly #others: number;
  #round = 0;

  constructor(words: Int32Array, side: 0 | 1) {
    this.#words = words;
    this.#mine = ARRIVED + 32 * side;
    this.#others = ARRIVED + 32 * (1 - side);
  }

  /** Says that this side runs. */
  start(): void {
    Atomics.store(this.#words, STARTED, 1);
  }

  /** The other side runs. */
  get started(): boolean {
    return Atomics.load(this.#words, STARTED) === 1;
  }

  /** Waits until the other side has come here as often, and then for `skew` loads more. */
  meet(skew: number): void {
    const words = this.#words;
    const round = ++this.#round;
    Atomics.store(words, this.#mine, round);
    for (let spins = 0; Atomics.load(words, this.#others) < round; spins++) {
      if (spins > SPINS_MAX) Atomics.wait(words, IDLE, 0, 1);
    }
    for (let i = 0; i < skew; i++) Atomics.load(words, IDLE);
  }

  /** Meets no more: the other side never waits again. */
  leave(): void {
    Atomics.store(this.#words, this.#mine, 0x7fff_ffff);
  }

  /** Tells the other side, before the next meeting, what was found. */
  answer(found: boolean): void {
    Atomics.store(this.#words, ANSWER, found ? 1 : 0);
  }

  /** What the other side found before the last meeting. */
  get answered(): boolean {
    return Atomics.load(this.#words, ANSWER) === 1;
  }
}
