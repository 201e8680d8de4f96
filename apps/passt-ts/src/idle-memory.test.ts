import { expect, test } from "bun:test";
import { IdleMemory } from "./idle-memory.ts";

/** How often memory was given back after each look; between two looks so much processor time was used. */
function releasesAfter(usedMs: readonly number[]): number[] {
  let nowUsedMs = 1000;
  let releases = 0;
  const memory = new IdleMemory(
    () => nowUsedMs,
    () => releases++,
  );
  return usedMs.map((ms) => {
    nowUsedMs += ms;
    memory.look();
    return releases;
  });
}

test("memory is given back once when the program becomes idle, and not while it works", () => {
  expect(releasesAfter([500, 300, 3, 0, 5])).toEqual([0, 0, 1, 1, 1]);
});

test("it is given back again when the program was busy in between", () => {
  expect(releasesAfter([3, 2000, 2000, 3, 3])).toEqual([1, 1, 1, 2, 2]);
});

test("work in small pieces counts as well: given back when the pieces were enough to have touched memory", () => {
  expect(releasesAfter([3, 35, 3, 9, 9, 9, 1])).toEqual([1, 2, 2, 2, 3, 3, 3]);
});
