import { expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import { WindowTable } from "@passt-ts/iov/windows";
import { batchOf } from "@passt-ts/net-backend/testing/frame-source";
import fc from "fast-check";
import { WaitingFrames } from "./waiting-frames.ts";

const CAPACITY_BYTES = 300;
const CAPACITY_FRAMES = 6;

test("frames come out as they went in, in order, and what has no place is refused whole", () => {
  const action = fc.oneof(
    fc.record({
      push: fc.uint8Array({ minLength: 1, maxLength: 120 }),
      layout: fc.array(fc.integer({ min: 1, max: 9 })),
    }),
    fc.constant("shift" as const),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const windows = new WindowTable();
      const guarded = new Uint8Array(CAPACITY_BYTES + 20).fill(0xa5);
      const window = windows.add(guarded);
      const scratch = windows.add(new Uint8Array(200));
      const waiting = new WaitingFrames(windows, window, 10, CAPACITY_BYTES, CAPACITY_FRAMES);
      const model: Uint8Array[] = [];
      // The slow and obvious rule: all since it was last empty must fit.
      let sinceEmpty: Uint8Array[] = [];
      for (const one of actions) {
        if (one === "shift") {
          if (model.length === 0) continue;
          waiting.shift();
          model.shift();
        } else {
          const batch = batchOf(windows, [one.push], one.layout);
          batch.gsoSize[0] = one.push.length;
          const bytes = sinceEmpty.reduce((sum, frame) => sum + frame.length, one.push.length);
          const fits = sinceEmpty.length < CAPACITY_FRAMES && bytes <= CAPACITY_BYTES;
          expect(waiting.push(batch, 0, batch.select(0, new Iov(batch.pool)))).toBe(fits);
          if (fits) {
            model.push(one.push);
            sinceEmpty.push(one.push);
          }
        }
        if (model.length === 0) sinceEmpty = [];
        expect(waiting.count).toBe(model.length);
        if (model.length === 0) continue;
        const length = waiting.frames.length[waiting.oldest];
        expect(gather(waiting.oldestBytes, 0, scratch, 0, length)).toBe(model[0].length);
        expect(windows.bytes[scratch].slice(0, length)).toEqual(new Uint8Array(model[0]));
        expect(waiting.frames.gsoSize[waiting.oldest]).toBe(model[0].length);
      }
      expect([...guarded.slice(0, 10), ...guarded.slice(-10)].every((byte) => byte === 0xa5)).toBe(true);
    }),
  );
});
