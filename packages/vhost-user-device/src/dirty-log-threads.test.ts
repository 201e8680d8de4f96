import { expect, test } from "bun:test";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { DirtyLog } from "./dirty-log.ts";
import { type Job, State } from "./dirty-log.worker.ts";

const LOG_BYTES = 4096;

/** Long enough for the compiler to have optimised the marking. */
const WARM_UP_MS = 200;

/** Pages marked at once, all in one byte: as many changes of it as can follow upon each other. */
const PAGES = 7;

/** With a plain `|=` in place of `Atomics.or` up to a hundred thousand marks get lost in as many. */
const ROUNDS = 8_000_000;

test("what others mark in the same byte of a dirty log, and clear, at the same time is never lost", async () => {
  using file = createMemoryFile("dirty-log", LOG_BYTES);
  using log = new DirtyLog(file.fd, { sizeBytes: BigInt(LOG_BYTES), mmapOffset: 0n });
  const state = new Int32Array(new SharedArrayBuffer(4));
  const workerData: Job = { fd: file.fd, logBytes: LOG_BYTES, state, rounds: ROUNDS };
  const worker = new Worker(new URL("./dirty-log.worker.ts", import.meta.url), { workerData });
  const message = once(worker, "message");
  while (Atomics.load(state, 0) !== State.ready) await Bun.sleep(1);
  const mark = (): void => {
    for (let i = 0; i < 1000; i++) log.mark(0, PAGES * 4096);
  };
  for (const endMs = performance.now() + WARM_UP_MS; performance.now() < endMs; ) mark();
  Atomics.store(state, 0, State.begin);
  Atomics.notify(state, 0);
  while (Atomics.load(state, 0) === State.begin) mark();
  const [lost] = await message;
  await worker.terminate();
  expect(lost).toBe(0);
});
