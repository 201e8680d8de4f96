import { describe, expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { CallTrial } from "./call-trial.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

/** Answers of a round and of a whole trial, and for how many its outcome holds. */
const ROUND = 64;
const TRIAL = 16 * ROUND;
const HOLD = 8192;

/** A guest that gets acknowledgments, and then answers after that long, in ms, when it is called at once and when the call waits. */
class Guest {
  readonly trial: CallTrial = new CallTrial();
  atOnceMs: number;
  waitingMs: number;
  nowMs = 1000;

  constructor(atOnceMs: number, waitingMs: number) {
    this.atOnceMs = atOnceMs;
    this.waitingMs = waitingMs;
    this.trial.answered(this.nowMs);
  }

  /** So many answers. Returns how many of them came while it was called at once. */
  answer(count: number): number {
    let atOnce = 0;
    for (let i = 0; i < count; i++) {
      if (this.trial.isAtOnce) atOnce++;
      this.nowMs += this.trial.isAtOnce ? this.atOnceMs : this.waitingMs;
      this.trial.noteChoice();
      this.trial.answered(this.nowMs);
    }
    return atOnce;
  }

  /** An answer that far from where the clock stands. */
  answerAt(ms: number): void {
    this.trial.noteChoice();
    this.trial.answered(this.nowMs + ms);
    // From here on as if nothing had been.
    this.trial.answered(this.nowMs);
  }

  /** An answer before which there was no acknowledgment. */
  answerAlone(ms: number): void {
    this.nowMs += ms;
    this.trial.answered(this.nowMs);
  }
}

describe("whether to call at once", () => {
  test("a trial has as many answers of either way", () => {
    const guest = new Guest(0.1, 0.1);
    expect(guest.answer(TRIAL)).toBe(TRIAL / 2);
  });

  for (const [what, atOnceMs, waitingMs, expected] of [
    ["yes, where answers come sooner then", 0.15, 0.16, true],
    ["no, where they come later then", 0.16, 0.15, false],
    ["no, where it makes no difference: it is one interrupt more", 0.15, 0.15, false],
    ["no, where it makes next to none", 0.148, 0.15, false],
  ] as const) {
    test(`${what}; that holds until the next trial`, () => {
      const guest = new Guest(atOnceMs, waitingMs);
      guest.answer(TRIAL);
      expect(guest.answer(HOLD)).toBe(expected ? HOLD : 0);
      expect(guest.answer(TRIAL)).toBe(TRIAL / 2);
    });
  }

  test("what has changed shows in the next trial", () => {
    const guest = new Guest(0.1, 0.2);
    guest.answer(TRIAL);
    expect(guest.trial.isAtOnce).toBe(true);
    guest.atOnceMs = 0.3;
    guest.answer(HOLD + TRIAL);
    expect(guest.trial.isAtOnce).toBe(false);
  });

  // Each would tip the balance if it were counted.
  for (const [what, isAtOnce, interrupt] of [
    ["a stall", true, (guest: Guest) => guest.answerAt(2)],
    ["a time that is not known", true, (guest: Guest) => guest.answerAt(Infinity)],
    ["a time that goes back", false, (guest: Guest) => guest.answerAt(-1)],
    ["an interval in which nothing could wait", true, (guest: Guest) => guest.answerAlone(0.9)],
  ] as const) {
    test(`${what} counts for neither way, and not as an answer`, () => {
      const guest = new Guest(0.1, 0.1 / 0.97);
      for (let i = 0; i < TRIAL; i++) {
        if (guest.trial.isAtOnce === isAtOnce) interrupt(guest);
        guest.answer(1);
      }
      expect(guest.trial.isAtOnce).toBe(true);
    });
  }

  test("a driver of which nothing is known is called later, and the time until its first answer counts for nothing", () => {
    const guest = new Guest(0.1, 0.15);
    guest.answer(TRIAL);
    expect(guest.trial.isAtOnce).toBe(true);
    guest.trial.bind();
    expect(guest.trial.isAtOnce).toBe(false);
    expect(guest.answer(TRIAL + 1)).toBe(TRIAL / 2);
  });
});

/** A guest that sends, gets an acknowledgment for that, and then what it waits for. */
class Exchanges {
  readonly rig: DeviceRig = new DeviceRig({ echo: true, features: { offer: featureMask(VirtioFeature.EVENT_IDX) } });
  readonly guest: TestFrontEnd = this.rig.frontEnd().boot();
  nowMs: number = this.rig.nowMs;

  constructor() {
    this.guest.offerBuffers(100);
  }

  [Symbol.dispose](): void {
    this.guest[Symbol.dispose]();
    this.rig[Symbol.dispose]();
  }

  /** Sends a frame, which comes back, and does not let time pass meanwhile. */
  send(canWait: boolean): void {
    this.rig.backend.canWait = canWait;
    this.guest.send(testFrame(60));
    this.rig.nowMs = this.nowMs;
    this.rig.pump();
  }

  /** Takes what came, as a driver does that was called. */
  look(frames: number): void {
    this.rig.nowMs = this.nowMs;
    this.guest.receiveMany(frames);
    this.guest.tx.reapSent();
    this.guest.rx.queue.allowNotifications();
    this.guest.tx.queue.allowNotifications();
  }

  /**
   * One exchange, which is sooner over when the driver was called for the acknowledgment. Returns whether it was.
   *
   * @param isQuick the driver is awake before the next frame comes, and has looked: it wants the next call as well.
   */
  exchange(isQuick: boolean): boolean {
    const { guest } = this;
    guest.rx.takeCalls();
    this.send(true);
    const isCalled = guest.rx.takeCalls() > 0;
    const looks = isCalled && isQuick;
    if (looks) this.look(1);
    this.nowMs += isCalled ? 0.1 : 0.2;
    this.send(false);
    this.look(looks ? 1 : 2);
    return isCalled;
  }
}

for (const isQuick of [true, false]) {
  const when = isQuick ? "before the next one comes" : "as the next one comes";
  test(`a driver that is awake the sooner for it, ${when}, is called at once for frames that nobody waits for, and not for its own`, () => {
    using exchanges = new Exchanges();
    const { guest } = exchanges;
    let calledAtOnce = 0;
    for (let i = 0; i < TRIAL; i++) if (exchanges.exchange(isQuick)) calledAtOnce++;
    expect(calledAtOnce).toBeLessThan((TRIAL * 2) / 3);
    guest.tx.takeCalls();
    calledAtOnce = 0;
    for (let i = 0; i < 1000; i++) if (exchanges.exchange(isQuick)) calledAtOnce++;
    expect(calledAtOnce).toBe(1000);
    // It sent two frames each time, and is asked whether it waits for any after 32.
    expect(guest.tx.takeCalls()).toBeLessThanOrEqual(2000 / 32);
  });
}

test("where nothing could wait there is nothing to try", () => {
  using exchanges = new Exchanges();
  const { guest } = exchanges;
  for (let i = 0; i < ROUND + 8; i++) {
    exchanges.nowMs += 0.1;
    exchanges.send(false);
    exchanges.look(1);
  }
  guest.rx.takeCalls();
  // So the first round begins here, in which the call waits.
  for (let i = 0; i < ROUND; i++) expect(exchanges.exchange(true)).toBe(false);
  expect(exchanges.exchange(true)).toBe(true);
});

test("a ring that starts anew is one of which nothing is known", () => {
  using exchanges = new Exchanges();
  const { guest } = exchanges;
  for (let i = 0; i < TRIAL + 100; i++) exchanges.exchange(true);
  expect(exchanges.exchange(true)).toBe(true);
  guest.enableRing(guest.rx, false);
  guest.enableRing(guest.rx, true);
  for (let i = 0; i < 40; i++) exchanges.exchange(true);
  expect(exchanges.exchange(true)).toBe(false);
});
