import { expect, test } from "bun:test";
import { BusyPoll, type Polled } from "./busy-poll.ts";

/** What a look at events takes: a power of two, so that sums are exact. */
const LOOK_MS: number = 2 ** -10;
/** A spin of 50 looks. */
const SPIN_MS: number = 50 * LOOK_MS;

/** Work that comes at a time, and a clock that only looks and waits move. */
class Script implements Polled {
  nowMs = 1000;
  /** When the next event or frame comes. */
  eventAtMs = Infinity;
  frameAtMs = Infinity;
  /** The time-outs of the waits that were no looks. */
  readonly sleeps: number[] = [];
  looks = 0;
  pauses = 0;
  kicksAllowed = 0;

  readonly clock = (): number => this.nowMs;

  wait(timeoutMs: number): number {
    if (timeoutMs === 0) this.nowMs += LOOK_MS;
    else {
      this.sleeps.push(timeoutMs);
      this.nowMs = Math.max(this.nowMs, Math.min(this.nowMs + timeoutMs, this.eventAtMs, this.frameAtMs));
    }
    if (this.nowMs < this.eventAtMs) return 0;
    this.eventAtMs = Infinity;
    return 1;
  }

  look(): boolean {
    this.looks++;
    return this.nowMs >= this.frameAtMs;
  }

  pause(): void {
    this.pauses++;
  }

  allowKicks(): boolean {
    this.kicksAllowed++;
    return this.nowMs >= this.frameAtMs;
  }
}

/** A wait in which an event comes after so long a time. Whether it slept. */
function sleepsFor(poll: BusyPoll, script: Script, eventAfterMs: number): boolean {
  const before = script.sleeps.length;
  script.eventAtMs = script.nowMs + eventAfterMs;
  poll.wait(script, Infinity);
  expect(script.eventAtMs).toBe(Infinity);
  return script.sleeps.length > before;
}

test("without a time it never spins and sleeps until the deadline", () => {
  const script = new Script();
  const poll = new BusyPoll(0, script.clock);
  for (let i = 0; i < 5; i++) {
    expect(poll.spinsNext).toBe(false);
    poll.wait(script, script.nowMs + 30);
  }
  expect([script.sleeps, script.looks]).toEqual([[30, 30, 30, 30, 30], 0]);
});

test("what comes within the time is met without sleeping, and kicks stay suppressed", () => {
  const script = new Script();
  const poll = new BusyPoll(SPIN_MS, script.clock);
  expect(poll.spinsNext).toBe(true);
  expect(sleepsFor(poll, script, SPIN_MS - LOOK_MS)).toBe(false);
  script.frameAtMs = script.nowMs + SPIN_MS - LOOK_MS;
  poll.wait(script, Infinity);
  expect([script.sleeps, script.kicksAllowed]).toEqual([[], 0]);
});

test("it spins for its time and no longer, letting others run, then asks for kicks and sleeps for the rest", () => {
  const script = new Script();
  const poll = new BusyPoll(SPIN_MS, script.clock);
  poll.wait(script, script.nowMs + 10);
  expect([script.looks, script.pauses, script.kicksAllowed]).toEqual([50, 50, 1]);
  expect(script.sleeps).toEqual([10 - SPIN_MS]);
});

test("a frame that came before kicks were asked for is work, for which it does not sleep", () => {
  const script = new Script();
  script.look = () => false;
  script.frameAtMs = 0;
  new BusyPoll(SPIN_MS, script.clock).wait(script, Infinity);
  expect(script.sleeps).toEqual([]);
});

test("a deadline ends the spin", () => {
  const script = new Script();
  const poll = new BusyPoll(SPIN_MS, script.clock);
  poll.wait(script, script.nowMs + 10 * LOOK_MS);
  expect(script.looks).toBe(10);
  expect(script.nowMs).toBe(1000 + 11 * LOOK_MS);
});

test("after four waits that were too long it sleeps at once, and spins again when something came soon", () => {
  const script = new Script();
  const poll = new BusyPoll(SPIN_MS, script.clock);
  const spun: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    spun.push(poll.spinsNext);
    expect(sleepsFor(poll, script, 5)).toBe(true);
  }
  expect(spun).toEqual([true, true, true, true, false, false]);
  const { looks } = script;
  expect(sleepsFor(poll, script, 40 * LOOK_MS)).toBe(true);
  expect([poll.spinsNext, script.looks]).toEqual([true, looks]);
  expect(sleepsFor(poll, script, 40 * LOOK_MS)).toBe(false);
});

test("one wait that is met ends the count of those that were not", () => {
  const script = new Script();
  const poll = new BusyPoll(SPIN_MS, script.clock);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3; i++) sleepsFor(poll, script, 5);
    expect(sleepsFor(poll, script, 10 * LOOK_MS)).toBe(false);
  }
});
