// One fuzzer in a process of its own, which may die of what it finds: bun fuzz-process.ts messages|rings SEED FIRST_ROUND SECONDS
// [ROUNDS]. Says "at ROUND EXECUTIONS" each second, "finding ROUND WHY", "end ROUND EXECUTIONS"; writes the number of the round it
// is in to descriptor 3, for a round that ends the process.

import { writeSync } from "node:fs";
import type { Fuzzer } from "./fuzzer.ts";
import { MessageFuzzer } from "./message-fuzzer.ts";
import { RingFuzzer } from "./ring-fuzzer.ts";

const ROUND_FD = 3;
const CHECK_EACH = 64;
/** Rounds in which caches, pools and the runtime's own descriptors come to be. */
const WARM_UP_ROUNDS = 3;

const [what, seedText, firstText, secondsText, roundsText] = process.argv.slice(2);
const seed = Number(seedText);
const last = roundsText === undefined ? Number.POSITIVE_INFINITY : Number(firstText) + Number(roundsText);
const fuzzer: Fuzzer = what === "messages" ? new MessageFuzzer() : await RingFuzzer.create();
const number = new Float64Array(1);
let executions = 0;

function play(round: number): boolean {
  number[0] = round;
  writeSync(ROUND_FD, number, 0, 8, 0);
  try {
    executions += fuzzer.round(seed, round);
    if (round % CHECK_EACH === 0) fuzzer.checkHeld();
    return true;
  } catch (error) {
    const { name, message, stack = "" } = error as Error;
    console.log(`finding ${round} ${JSON.stringify(`${name}: ${message}\n${stack}`)}`);
    return false;
  }
}

const endMs = performance.now() + Number(secondsText) * 1000;
let saidMs = 0;
let round = Number(firstText);
let good = true;
for (let i = 0; good && i < WARM_UP_ROUNDS; i++) good = play(-1 - i);
if (good) fuzzer.checkHeld();
for (; good && round < last && performance.now() < endMs; round++) {
  good = play(round);
  if (performance.now() - saidMs < 1000) continue;
  saidMs = performance.now();
  console.log(`at ${round} ${executions}`);
}
console.log(`end ${round} ${executions}`);
process.exit(0);
