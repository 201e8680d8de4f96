// What a run of the benchmark compares, and how: programs in turns, so that what else the machine does falls on all of them.

import type { Kernel } from "../guests/image.ts";
import { Contestant, type Program } from "./contestant.ts";
import type { Samples } from "./pairs.ts";
import type { Placement } from "./placement.ts";

/** Measures each of two in turn, `turns` times; the second may be missing. */
export async function inTurns<T>(
  turns: number,
  contestants: readonly T[],
  measure: (contestant: T) => Promise<number>,
): Promise<Samples> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    for (const [index, contestant] of contestants.entries()) {
      (index === 0 ? ours : theirs).push(await measure(contestant));
    }
  }
  return { ours, theirs };
}

/** The programs with a guest each, ready to be measured; gone at the end. */
export class Contestants implements AsyncDisposable {
  readonly #all: Contestant[] = [];
  readonly #turns: number;

  constructor(turns: number) {
    this.#turns = turns;
  }

  add(contestant: Contestant): void {
    this.#all.push(contestant);
  }

  async inTurns(measure: (contestant: Contestant) => Promise<number>): Promise<Samples> {
    return await inTurns(this.#turns, this.#all, measure);
  }

  async each(act: (contestant: Contestant) => Promise<unknown>): Promise<void> {
    for (const contestant of this.#all) await act(contestant);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const contestant of this.#all) await contestant[Symbol.asyncDispose]();
  }
}

export class Plan {
  /** Ours, and what it is compared with if there is one. */
  readonly programs: readonly Program[];
  readonly kernel: Kernel;
  /** Turns of each program for each row. */
  readonly pairs: number;
  /** Length of a turn. */
  readonly seconds: number;
  readonly placement: Placement;

  constructor(programs: readonly Program[], kernel: Kernel, pairs: number, seconds: number, placement: Placement) {
    this.programs = programs;
    this.kernel = kernel;
    this.pairs = pairs;
    this.seconds = seconds;
    this.placement = placement;
  }

  /** Boots a guest on each program, which is started with `options`; our own daemon with those of `oursOnly` as well. */
  async contestants(
    options: readonly string[],
    oursOnly: readonly string[] = [],
    placement: Placement = this.placement,
  ): Promise<Contestants> {
    const contestants = new Contestants(this.pairs);
    try {
      for (const program of this.programs) {
        const all = program.command === null ? [...options, ...oursOnly] : options;
        contestants.add(await Contestant.start(program, this.kernel, all, placement));
      }
    } catch (error) {
      await contestants[Symbol.asyncDispose]();
      throw error;
    }
    return contestants;
  }
}
