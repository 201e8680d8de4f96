import { type ContractCase, check, compare, expectSomeOf, Trial } from "./contract-case.ts";
import { batchOf, plainMemory } from "./frame-source.ts";

/** Layouts of a frame with its header: whole, header apart, in pieces that cut either, byte for byte. */
const LAYOUTS: readonly (readonly number[])[] = [[], [12], [10], [5, 21, 40], [1], [13, 100], [12, 14, 20]];
const LENGTHS: readonly number[] = [60, 14, 1514, 61];

/** What happens to frames of the guest. */
export const sendRules: readonly ContractCase[] = [
  {
    name: "a batch is carried in order, over any entries",
    run: (make) => {
      for (const entryBytes of LAYOUTS) {
        const trial = new Trial(make);
        const frames = trial.frames(...LENGTHS);
        trial.send(frames, entryBytes);
        compare(trial.carried(), frames);
        trial.backend.close();
      }
    },
  },
  {
    name: "a header of any length in front of the guest's frames is taken off, wherever entries cut it",
    run: (make) => {
      for (const headerLength of [0, 10, 12] as const) {
        for (const entryBytes of LAYOUTS) {
          const trial = new Trial(make, { headerLength });
          const frames = trial.frames(100, 60);
          trial.send(frames, entryBytes);
          compare(trial.carried(), frames);
          trial.backend.close();
        }
      }
    },
  },
  {
    name: "when send returns, every buffer of the batch is free",
    run: (make) => {
      const trial = new Trial(make);
      const frames = trial.frames(100, 1514);
      trial.send(frames);
      compare(trial.carried(), frames);
      trial.backend.close();
    },
  },
  {
    name: "only the frames that were counted are carried, and none of an empty batch",
    run: (make) => {
      const trial = new Trial(make);
      const frames = trial.frames(60, 70, 80);
      const batch = batchOf(trial.windows, frames, [], 12, trial.under.memory ?? plainMemory);
      trial.backend.send(batch, 0, 0);
      check(trial.carried().length === 0, "a frame of an empty batch was carried");
      trial.backend.send(batch, 2, 0);
      compare(trial.carried(), frames.slice(0, 2));
      trial.backend.close();
    },
  },
  {
    name: "more than fits is dropped, whole frames of it; the others are carried whole and in order, and so is what follows",
    run: (make) => {
      const trial = new Trial(make);
      const frames = Array.from({ length: 60 }, (_, seed) => trial.under.frame(1000, seed));
      trial.send(frames);
      const got = trial.carried();
      check(got.length > 0, "nothing was carried");
      expectSomeOf(got, frames);
      const after = [trial.under.frame(100, 77)];
      trial.send(after);
      compare(trial.carried(), after);
      trial.backend.close();
    },
  },
  {
    name: "a device that waits while the back-end is full loses no frame",
    run: (make) => {
      const trial = new Trial(make);
      const frames = Array.from({ length: 60 }, (_, seed) => trial.under.frame(1000, seed));
      const got: Uint8Array[] = [];
      for (const frame of frames) {
        for (let round = 0; trial.backend.full === true; round++) {
          check(round < 1000, "it stays full");
          got.push(...trial.under.carried());
          trial.work();
        }
        trial.send([frame]);
      }
      got.push(...trial.carried());
      compare(got, frames);
      trial.backend.close();
    },
  },
];
