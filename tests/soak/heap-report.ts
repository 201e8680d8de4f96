// What lies on the heap of a thread that never returns to its event loop, told to another thread over shared memory.

const word = { wanted: 0, objects: 1, heapBytes: 2 } as const;

/**
 * What is asked for: what lies on the heap once its garbage was collected; or how much can still be allocated before the engine
 * collects by itself, which it finds out by allocating.
 */
export const Look = { none: 0, collected: 1, room: 2 } as const;
export type Look = (typeof Look)[keyof typeof Look];

/** What a data plane does wrong on purpose for each frame of the guest: make an object, or make one and hold it. */
export type Fault = "none" | "makes" | "holds";

/** What lies on a heap, or, when room was asked for, what it lacked until it was collected. */
export interface Heap {
  readonly objects: number;
  readonly bytes: number;
}

export class HeapReport {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
  }

  /** What somebody waits for {@link HeapReport.give} to say. */
  get wanted(): Look {
    return Atomics.load(this.#words, word.wanted) as Look;
  }

  give(objects: number, heapBytes: number): void {
    this.#words[word.objects] = objects;
    this.#words[word.heapBytes] = heapBytes;
    Atomics.store(this.#words, word.wanted, Look.none);
  }

  /** Asks, wakes the other thread with `wake` until it has answered, and returns the answer. */
  ask(look: Look, wake: () => void): Heap {
    Atomics.store(this.#words, word.wanted, look);
    const patienceMs = performance.now() + 10_000;
    while (this.wanted !== Look.none) {
      if (performance.now() > patienceMs) throw new Error("the data plane does not say what lies on its heap");
      wake();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    return { objects: this.#words[word.objects], bytes: this.#words[word.heapBytes] };
  }
}
