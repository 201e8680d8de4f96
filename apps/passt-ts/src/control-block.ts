/**
 * How the main thread speaks to the data plane, whose thread never returns to its event loop: a word of shared memory,
 * and an eventfd that wakes it.
 */
export class ControlBlock {
  readonly shared: SharedArrayBuffer;
  readonly eventFd: number;
  readonly #words: Int32Array;

  constructor(eventFd: number, shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.eventFd = eventFd;
    this.shared = shared;
    this.#words = new Int32Array(shared);
  }

  /** Asks the data plane to end; the caller then writes to the eventfd. */
  requestStop(): void {
    Atomics.store(this.#words, 0, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#words, 0) !== 0;
  }
}
