import { describe, expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { CallTrial } from "./call-trial.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";

/** Answers of a whole trial, and for how many its outcome holds. */
const TRIAL = 16 * 64;
const HOLD = 8192;

/** A guest whose answers take that long, in ms, when it is called at once and when the call waits. */
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
      this.trial.answered(this.nowMs);
    }
    return atOnce;
  }
}

describe("whether to call at once", () => {
  test("a trial has as many answers of either way", () => {
    const guest = new Guest(0.1, 0.1);
    expect(guest.answer(TRIAL - 1)).toBe(TRIAL / 2);
  });

  for (const [what, atOnceMs, waitingMs, expected] of [
    ["yes, where answers come sooner then", 0.15, 0.16, true],
    ["no, where they come later then", 0.16, 0.15, false],
    ["no, where it makes no difference: it is one interrupt more", 0.15, 0.15, false],
    ["no, where it makes next to none", 0.1495, 0.15, false],
  ] as const) {
    test(`${what}; that holds until the next trial`, () => {
      const guest = new Guest(atOnceMs, waitingMs);
      guest.answer(TRIAL);
      expect(guest.answer(HOLD - 1)).toBe(expected ? HOLD - 1 : 0);
      guest.answer(1);
      expect(guest.answer(TRIAL - 1)).toBe(TRIAL / 2);
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

  test("a stall counts for no more than a millisecond, and a time that is not known for nothing", () => {
    const guest = new Guest(0.1, 0.15);
    guest.answer(TRIAL - 1);
    guest.nowMs += 1000;
    guest.trial.answered(Infinity);
    guest.answer(1);
    expect(guest.trial.isAtOnce).toBe(true);
  });

  test("a driver of which nothing is known is called later", () => {
    const guest = new Guest(0.1, 0.15);
    guest.answer(TRIAL);
    expect(guest.trial.isAtOnce).toBe(true);
    guest.trial.bind();
    expect(guest.trial.isAtOnce).toBe(false);
  });
});

test("a driver that is awake the sooner for it is called at once for frames that nobody waits for", () => {
  using rig = new DeviceRig({ echo: true, features: { offer: featureMask(VirtioFeature.EVENT_IDX) } });
  using guest = rig.frontEnd().boot();
  guest.offerBuffers(100);

  let nowMs = rig.nowMs;

  /** Sends a frame, which comes back, and does not let time pass meanwhile. */
  function send(canWait: boolean): void {
    rig.backend.canWait = canWait;
    guest.send(testFrame(60));
    rig.nowMs = nowMs;
    rig.pump();
  }

  /** Takes what came, as a driver does that was called. */
  function look(frames: number): void {
    rig.nowMs = nowMs;
    guest.receiveMany(frames);
    guest.tx.reapSent();
    guest.rx.queue.allowNotifications();
  }

  /** An acknowledgment, and then an answer: whether the driver was called for the first already. */
  function exchange(): boolean {
    guest.rx.takeCalls();
    send(true);
    const isCalled = guest.rx.takeCalls() > 0;
    if (isCalled) look(1);
    nowMs += isCalled ? 0.1 : 0.2;
    send(false);
    look(isCalled ? 1 : 2);
    return isCalled;
  }

  let calledAtOnce = 0;
  for (let i = 0; i < TRIAL; i++) if (exchange()) calledAtOnce++;
  expect(calledAtOnce).toBeLessThan((TRIAL * 2) / 3);
  calledAtOnce = 0;
  for (let i = 0; i < 100; i++) if (exchange()) calledAtOnce++;
  expect(calledAtOnce).toBe(100);
});
