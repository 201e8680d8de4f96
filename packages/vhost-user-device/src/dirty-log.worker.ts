import { parentPort, workerData } from "node:worker_threads";
import { mapFile } from "@passt-ts/linux/mapped-memory";

// The other thread of dirty-log-threads.test.ts: who else marks pages in a log, and who reads and clears it.

/** What this thread is to do; the descriptor stays its owner's. */
export interface Job {
  readonly fd: number;
  readonly logBytes: number;
  /** A number of {@link State}; this thread says `ready` and `done`, the other one `begin`. */
  readonly state: Int32Array;
  readonly rounds: number;
}

/** How far the two threads are. */
export const State = { ready: 1, begin: 2, done: 3 } as const;

/** The bit of this thread; the other one marks the seven before it. */
const OWN = 1 << 7;

/** Returns how many of its own marks were gone when it took them. */
function run({ fd, logBytes, state, rounds }: Job): number {
  const mapping = mapFile({ fd, offset: 0, lengthBytes: logBytes });
  const bits = mapping.bytes(0, logBytes);
  let lost = 0;
  Atomics.store(state, 0, State.ready);
  Atomics.wait(state, 0, State.ready);
  for (let i = 0; i < rounds; i++) {
    Atomics.or(bits, 0, OWN);
    if ((Atomics.exchange(bits, 0, 0) & OWN) === 0) lost++;
  }
  Atomics.store(state, 0, State.done);
  mapping.close();
  return lost;
}

if (parentPort !== null) parentPort.postMessage(run(workerData as Job));
