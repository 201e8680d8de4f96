import { expect, test } from "bun:test";
import { ControlBlock } from "./control-block.ts";

/** The block as each of two threads sees it. */
function bothSides(): [main: ControlBlock, dataPlane: ControlBlock] {
  const main = new ControlBlock(3);
  return [main, new ControlBlock(3, main.shared)];
}

test("a request to stop is seen on the other side", () => {
  const [main, dataPlane] = bothSides();
  expect(dataPlane.stopRequested).toBe(false);
  main.requestStop();
  expect(dataPlane.stopRequested).toBe(true);
});

test("a message is taken once, as it was left, and the next one must wait for that", () => {
  const [main, dataPlane] = bothSides();
  expect(dataPlane.take()).toBe(null);
  expect(main.post(Uint8Array.of(1, 2, 3))).toBe(true);
  expect(main.post(Uint8Array.of(9))).toBe(false);
  const first = dataPlane.take();
  expect(first).toEqual(Uint8Array.of(1, 2, 3));
  expect(dataPlane.take()).toBe(null);
  expect(main.post(Uint8Array.of(4))).toBe(true);
  expect([first, dataPlane.take()]).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
});

test("the longest message passes, a longer one is refused and leaves no trace", () => {
  const [main, dataPlane] = bothSides();
  expect(() => main.post(new Uint8Array(64 * 1024 + 1))).toThrow(RangeError);
  expect(dataPlane.take()).toBe(null);
  const longest = new Uint8Array(64 * 1024).fill(7);
  expect(main.post(longest)).toBe(true);
  expect(dataPlane.take()).toEqual(longest);
});

test("the main thread is told once of a descriptor until it looks", () => {
  const [main, dataPlane] = bothSides();
  expect([dataPlane.claimWatched(), dataPlane.claimWatched()]).toEqual([true, false]);
  main.releaseWatched();
  expect([dataPlane.claimWatched(), dataPlane.claimWatched()]).toEqual([true, false]);
});
