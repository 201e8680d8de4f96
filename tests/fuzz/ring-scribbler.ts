// Starts and stops the thread that changes the guest's memory under the device's eyes.

import { Worker } from "node:worker_threads";

/** Places in the shared words. */
export const SCRIBBLER = { running: 0, rests: 1, fd: 2, seed: 3 } as const;

/** What the thread works on. */
export interface ScribblerJob {
  readonly control: Int32Array;
  /** The size of each guest's memory file. */
  readonly memoryBytes: number;
  /** From one ring to the other, and to the buffers behind. */
  readonly ringBytes: number;
}

export class RingScribbler {
  readonly #control = new Int32Array(new SharedArrayBuffer(16));

  private constructor() {
    this.#control[SCRIBBLER.rests] = 1;
  }

  /** Returns when the thread is there. */
  static async start(job: Omit<ScribblerJob, "control">): Promise<RingScribbler> {
    const scribbler = new RingScribbler();
    const workerData: ScribblerJob = { ...job, control: scribbler.#control };
    const worker = new Worker(new URL("./ring-scribbler.worker.ts", import.meta.url), { workerData });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    return scribbler;
  }

  /** Lets it change the memory of the guest that has this file; returns when it does. */
  begin(fd: number, seed: number): void {
    Atomics.store(this.#control, SCRIBBLER.fd, fd);
    Atomics.store(this.#control, SCRIBBLER.seed, seed | 0);
    Atomics.store(this.#control, SCRIBBLER.running, 1);
    Atomics.notify(this.#control, SCRIBBLER.running);
    Atomics.wait(this.#control, SCRIBBLER.rests, 1);
  }

  /** Returns when it changes nothing any more. */
  stop(): void {
    if (Atomics.exchange(this.#control, SCRIBBLER.running, 0) === 0) return;
    Atomics.wait(this.#control, SCRIBBLER.rests, 0);
  }
}
