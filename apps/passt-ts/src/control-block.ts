/** Words of the shared memory. */
const WORD = { stop: 0, watched: 1, mail: 2, mailBytes: 3 } as const;
const MAIL_AT = 16;
/** Room for one message: the longest lists of servers and domains that a link can have need a fraction of it. */
const MAIL_BYTES_MAX = 64 * 1024;

/** Whose the message's bytes are. */
const Mail = { mainThreads: 0, dataPlanes: 1 } as const;

/**
 * How the main thread speaks to the data plane, whose thread never returns to its event loop: shared memory, and an
 * eventfd that wakes it. One message at a time lies in it; its bytes belong to one side or the other, never to both.
 */
export class ControlBlock {
  readonly shared: SharedArrayBuffer;
  readonly eventFd: number;
  readonly #words: Int32Array;
  readonly #mail: Uint8Array;

  constructor(eventFd: number, shared: SharedArrayBuffer = new SharedArrayBuffer(MAIL_AT + MAIL_BYTES_MAX)) {
    this.eventFd = eventFd;
    this.shared = shared;
    this.#words = new Int32Array(shared, 0, MAIL_AT / 4);
    this.#mail = new Uint8Array(shared, MAIL_AT);
  }

  /** Asks the data plane to end; the caller then writes to the eventfd. */
  requestStop(): void {
    Atomics.store(this.#words, WORD.stop, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#words, WORD.stop) !== 0;
  }

  /**
   * Main thread: leaves a message, then writes to the eventfd. False while the last one was not taken.
   *
   * @throws RangeError when it is too long.
   */
  post(message: Uint8Array): boolean {
    if (message.length > MAIL_BYTES_MAX) throw new RangeError(`a message of ${message.length} bytes is too long`);
    if (Atomics.load(this.#words, WORD.mail) !== Mail.mainThreads) return false;
    this.#mail.set(message);
    Atomics.store(this.#words, WORD.mailBytes, message.length);
    Atomics.store(this.#words, WORD.mail, Mail.dataPlanes);
    return true;
  }

  /** Data plane: a copy of the message that was left, or null. */
  take(): Uint8Array | null {
    if (Atomics.load(this.#words, WORD.mail) !== Mail.dataPlanes) return null;
    const message = new Uint8Array(Atomics.load(this.#words, WORD.mailBytes));
    message.set(this.#mail.subarray(0, message.length));
    Atomics.store(this.#words, WORD.mail, Mail.mainThreads);
    return message;
  }

  /** Data plane: whether the main thread is to be told of a descriptor, because it has not been since it last looked. */
  claimWatched(): boolean {
    return Atomics.exchange(this.#words, WORD.watched, 1) === 0;
  }

  /** Main thread: it looks now, and wants to be told of what comes later. */
  releaseWatched(): void {
    Atomics.store(this.#words, WORD.watched, 0);
  }
}
