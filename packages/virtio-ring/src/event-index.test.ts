import { expect, test } from "bun:test";
import { passedEvent } from "./event-index.ts";

test("the event index was passed when its entry is one of those written, around the wrap too", () => {
  for (const start of [0, 5, 0xfffd]) {
    for (let written = 0; written < 6; written++) {
      for (let distance = -3; distance < 9; distance++) {
        const event = (start + distance) & 0xffff;
        const entries = Array.from({ length: written }, (_, i) => (start + i) & 0xffff);
        expect(passedEvent(event, (start + written) & 0xffff, start)).toBe(entries.includes(event));
      }
    }
  }
});
