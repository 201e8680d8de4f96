import { expect, test } from "bun:test";
import fc from "fast-check";
import { TimerWheel } from "./timer-wheel.ts";

const SLOTS = 6;

const delay = fc.oneof(
  fc.double({ min: -50, max: 200, noNaN: true }),
  fc.integer({ min: 0, max: 300_000 }),
  fc.integer({ min: 0, max: 2 ** 26 }),
  fc.constant(Infinity),
);
const command = fc.oneof(
  fc.record({ act: fc.constant("schedule" as const), slot: fc.nat(SLOTS - 1), ms: delay }),
  fc.record({ act: fc.constant("cancel" as const), slot: fc.nat(SLOTS - 1), ms: fc.constant(0) }),
  fc.record({
    act: fc.constant("pass" as const),
    slot: fc.constant(0),
    ms: fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 0, max: 2 ** 25 })),
  }),
);

test("the wheel expires what a sorted list expires, in the same order, and its deadline is never late", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 2 ** 40, noNaN: true }),
      fc.array(command, { maxLength: 60 }),
      (startMs, commands) => {
        let now = startMs;
        const wheel = new TimerWheel(SLOTS, now);
        const model = new Map<number, number>();
        for (const { act, slot, ms } of commands) {
          if (act === "schedule") {
            wheel.schedule(slot, now + ms);
            if (ms === Infinity) model.delete(slot);
            else model.set(slot, Math.ceil(now + ms));
          } else if (act === "cancel") {
            wheel.cancel(slot);
            model.delete(slot);
          } else {
            now += ms;
            const fired: number[] = [];
            for (let due = wheel.expire(now); due !== -1; due = wheel.expire(now)) fired.push(due);
            const times = fired.map((due) => model.get(due) ?? NaN);
            const expected = [...model].filter(([, at]) => at <= Math.floor(now)).map(([due]) => due);
            expect(fired.toSorted()).toEqual(expected.toSorted());
            // Those that were in the past when they were scheduled come in any order among themselves.
            const floor = times.map((at) => Math.max(at, Math.floor(now - ms)));
            expect(floor).toEqual(floor.toSorted((a, b) => a - b));
            for (const due of fired) model.delete(due);
          }
          for (let i = 0; i < SLOTS; i++) expect(wheel.scheduledMs(i)).toBe(model.get(i) ?? Infinity);
          const first = Math.min(Infinity, ...model.values());
          if (first === Infinity) expect(wheel.deadlineMs).toBe(Infinity);
          else expect(wheel.deadlineMs).toBeLessThanOrEqual(Math.max(first, Math.floor(now)));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("sleeping until the deadline again and again reaches each timer in few steps", () => {
  const wheel = new TimerWheel(1, 0);
  let base = 0;
  for (const delay of [1, 63, 64, 4095, 4096, 247_000, 7_200_000, 2 ** 24, 2 ** 24 + 5]) {
    const at = base + delay;
    wheel.schedule(0, at);
    let steps = 0;
    let now = base;
    while (wheel.expire(now) === -1) {
      expect(wheel.deadlineMs).toBeGreaterThan(now);
      now = wheel.deadlineMs;
      expect(++steps).toBeLessThanOrEqual(6);
    }
    expect(now).toBe(at);
    base = now;
  }
});
