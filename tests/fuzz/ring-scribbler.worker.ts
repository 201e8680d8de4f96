// A guest's other processor: changes rings and frames while the device reads them. When exactly is up to the machine, so a round with it
// is not the same twice.

import { parentPort, workerData } from "node:worker_threads";
import { mapFile } from "@passt-ts/linux/mapped-memory";
import { edgeNumber } from "./mutate.ts";
import { Random } from "./random.ts";
import { SCRIBBLER, type ScribblerJob } from "./ring-scribbler.ts";

const job = workerData as ScribblerJob;
const { control } = job;
parentPort?.postMessage("ready");

function scribble(words: Uint32Array, random: Random): void {
  // The beginnings of both rings, where chains are, and of the buffers, where headers are.
  const area = random.pick([0, 0, job.ringBytes, job.ringBytes, 2 * job.ringBytes]) / 4;
  const at = area + random.below(random.pick([32, 64, 1200]));
  const value = random.chance(0.5) ? words[area + random.below(64)] : edgeNumber(random);
  // There and back: what was checked once is right again when it is read once more.
  const old = Atomics.exchange(words, at, value);
  if (random.chance(0.7)) Atomics.store(words, at, old);
}

for (;;) {
  Atomics.wait(control, SCRIBBLER.running, 0);
  const mapping = mapFile({ fd: Atomics.load(control, SCRIBBLER.fd), offset: 0, lengthBytes: job.memoryBytes });
  const words = new Uint32Array(mapping.bytes(0, job.memoryBytes).buffer);
  Atomics.store(control, SCRIBBLER.rests, 0);
  Atomics.notify(control, SCRIBBLER.rests);
  const random = new Random(Atomics.load(control, SCRIBBLER.seed));
  while (Atomics.load(control, SCRIBBLER.running) === 1) scribble(words, random);
  mapping.close();
  Atomics.store(control, SCRIBBLER.rests, 1);
  Atomics.notify(control, SCRIBBLER.rests);
}
