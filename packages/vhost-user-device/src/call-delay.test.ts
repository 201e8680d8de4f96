import { describe, expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { CallDelay } from "./call-delay.ts";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

/** A delay after so many requests that were answered at once. */
function delayAfter(answers: number, framesMax = 64): CallDelay {
  const delay = new CallDelay();
  delay.bind(framesMax);
  for (let i = 0; i < answers; i++) {
    delay.add(1, 60, i);
    delay.answered(i);
    delay.asked(false, i);
  }
  return delay;
}

describe("when the call is due", () => {
  test("nothing is owed: never", () => {
    expect(delayAfter(0).dueMs).toBe(Infinity);
    expect(delayAfter(20).dueMs).toBe(Infinity);
  });

  test("at once until sixteen frames were answered, then five ms later, and no later for what comes then", () => {
    const cold = delayAfter(15);
    cold.add(1, 60, 100);
    expect(cold.dueMs).toBe(100);
    const warm = delayAfter(16);
    warm.add(1, 60, 100);
    expect(warm.dueMs).toBe(105);
    warm.answered(100.5);
    warm.add(1, 60, 103);
    expect(warm.dueMs).toBe(105);
  });

  for (const [what, framesMax, tooMany, enough] of [
    ["32 frames", 64, [32, 1000], [31, 1000]],
    ["a kilobyte", 64, [3, 1024], [3, 1023]],
    ["a quarter of a small ring", 4, [4, 240], [3, 180]],
  ] as const) {
    test(`at once for ${what}, later for less`, () => {
      for (const [[frames, lengthBytes], dueMs] of [
        [tooMany, 100],
        [enough, 105],
      ] as const) {
        const delay = delayAfter(16, framesMax);
        delay.add(frames, lengthBytes, 100);
        expect(delay.dueMs).toBe(dueMs);
      }
    });
  }

  test("bytes count from the last answer on, frames from the last call, lest a driver runs out of buffers", () => {
    const delay = delayAfter(16);
    for (let i = 0; i < 3; i++) {
      delay.add(10, 600, 100);
      expect(delay.dueMs).toBe(105);
      delay.answered(100);
    }
    delay.add(2, 120, 100);
    expect(delay.dueMs).toBe(100);
  });

  test("always at once where no frame may wait, as without event indexes", () => {
    const delay = delayAfter(0);
    delay.bind(0);
    for (let i = 0; i < 40; i++) {
      delay.add(1, 60, i);
      expect(delay.dueMs).toBe(i);
      delay.answered(i);
      delay.asked(true, i);
    }
  });

  for (const [what, miss] of [
    ["a frame follows much later that nothing came between", (delay: CallDelay) => delay.add(1, 60, 103)],
    ["an answer comes late", (delay: CallDelay) => delay.answered(103)],
    ["the driver still wants its call", (delay: CallDelay) => delay.asked(true, 105)],
  ] as const) {
    test(`at once again when ${what}`, () => {
      const delay = delayAfter(16);
      delay.add(1, 60, 100);
      expect(delay.dueMs).toBe(105);
      miss(delay);
      delay.asked(false, 106);
      delay.answered(106);
      delay.add(1, 60, 200);
      expect(delay.dueMs).toBe(200);
    });
  }

  test("later still when frames follow each other before the answer, as an acknowledgment and a request do", () => {
    const delay = delayAfter(16);
    for (let i = 0; i < 20; i++) {
      delay.add(1, 60, 100 + i);
      delay.add(1, 60, 100.5 + i);
      delay.answered(101 + i);
    }
    delay.asked(false, 130);
    delay.add(1, 60, 130);
    expect(delay.dueMs).toBe(135);
  });

  test("at once again when frames go on and on without an answer, however soon they follow each other", () => {
    const delay = delayAfter(1000);
    let waiting = 0;
    for (let nowMs = 100; nowMs < 300; nowMs++) {
      if (nowMs >= delay.dueMs) delay.asked(true, nowMs);
      delay.add(1, 60, nowMs);
      if (delay.dueMs > nowMs) waiting = nowMs;
    }
    expect(waiting).toBeGreaterThan(100);
    expect(waiting).toBeLessThan(150);
  });

  /** How many answers in time it takes until a call waits. */
  function answersUntilItWaits(delay: CallDelay): number {
    for (let answers = 0; answers < 10_000; answers++) {
      delay.add(1, 60, 100);
      const waits = delay.dueMs > 100;
      delay.answered(100);
      delay.asked(false, 100);
      if (waits) return answers;
    }
    throw new Error("it never waits");
  }

  function waitInVain(delay: CallDelay): void {
    delay.add(1, 60, 100);
    delay.asked(true, 105);
  }

  test("a guest that waited in vain shows twice as many answers before it waits again, but 1024 at most", () => {
    const delay = delayAfter(16);
    const needed = [];
    for (let i = 0; i < 8; i++) {
      waitInVain(delay);
      needed.push(answersUntilItWaits(delay));
    }
    expect(needed).toEqual([32, 64, 128, 256, 512, 1024, 1024, 1024]);
  });

  test("and half as many again after each 64 answers that were counted on and came", () => {
    const delay = delayAfter(16);
    for (let i = 0; i < 3; i++) {
      waitInVain(delay);
      answersUntilItWaits(delay);
    }
    for (let i = 0; i < 2 * 64; i++) {
      delay.add(1, 60, 100);
      delay.answered(100);
    }
    waitInVain(delay);
    expect(answersUntilItWaits(delay)).toBe(64);
  });

  test("an interruption in the middle of an exchange is no waiting in vain", () => {
    const delay = delayAfter(16);
    delay.add(1, 60, 100);
    delay.answered(100);
    delay.add(1, 60, 104);
    delay.asked(true, 105);
    delay.answered(105);
    delay.add(1, 60, 106);
    expect(delay.dueMs).toBe(111);
  });
});

describe("a driver with event indexes behind a device that answers each frame", () => {
  const features = { offer: featureMask(VirtioFeature.EVENT_IDX) };

  /** Sends a frame and takes the answer, as a driver does that then looks at what it has sent. */
  function ask(guest: TestFrontEnd): void {
    guest.send(testFrame(60));
    guest.receiveMany(1);
    guest.tx.reapSent();
    guest.tx.queue.allowNotifications();
    guest.rx.queue.allowNotifications();
  }

  /** Has answers counted on, and then a frame sent for which the driver is owed a call. */
  function sendUncalled(rig: DeviceRig, guest: TestFrontEnd): void {
    guest.offerBuffers(100);
    guest.tx.queue.allowNotifications();
    for (let i = 0; i < 20; i++) ask(guest);
    guest.tx.takeCalls();
    guest.send(testFrame(60));
    rig.pump();
    expect(guest.tx.takeCalls()).toBe(0);
  }

  /** Has answers counted on, and then a frame received that nobody waits for: the driver is not called for it. */
  function receiveUncalled(rig: DeviceRig, guest: TestFrontEnd): void {
    sendUncalled(rig, guest);
    guest.receiveMany(1);
    guest.rx.queue.allowNotifications();
    guest.rx.takeCalls();
    rig.backend.canWait = true;
    guest.send(testFrame(60));
    rig.pump();
    expect(guest.rx.takeCalls()).toBe(0);
  }

  test("is not called for its requests any more once they are answered at once", () => {
    using rig = new DeviceRig({ echo: true, features });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(100);
    guest.tx.queue.allowNotifications();
    guest.rx.queue.allowNotifications();
    for (let i = 0; i < 20; i++) ask(guest);
    guest.tx.takeCalls();
    const before = rig.device.counters[DeviceCounter.callsRx];
    for (let i = 0; i < 100; i++) ask(guest);
    expect(rig.device.counters[DeviceCounter.callsRx] - before).toBe(100);
    expect(guest.tx.takeCalls()).toBeLessThan(100 / 5);
  });

  test("has its buffers back at once, and its call at most 5 ms later when it waits for it", () => {
    using rig = new DeviceRig({ echo: true, features });
    using guest = rig.frontEnd().boot();
    sendUncalled(rig, guest);
    const dueMs = rig.device.deadlineMs;
    expect(dueMs - rig.nowMs).toBeLessThanOrEqual(5);
    rig.nowMs = dueMs;
    rig.pump();
    expect(guest.tx.takeCalls()).toBe(1);
    expect(guest.tx.reapSent()).toBe(1);
  });

  test("hears of frames that nobody waits for with the next one that somebody does", () => {
    using rig = new DeviceRig({ echo: true, features });
    using guest = rig.frontEnd().boot();
    receiveUncalled(rig, guest);
    expect(rig.device.deadlineMs - rig.nowMs).toBeLessThanOrEqual(5);
    rig.backend.canWait = false;
    guest.send(testFrame(61));
    rig.pump();
    expect(guest.rx.takeCalls()).toBe(1);
    expect(guest.receiveMany(2).map(({ bytes }) => bytes.length)).toEqual([60, 61]);
  });

  test("hears of frames that nobody waits for within 5 ms when nothing else comes", () => {
    using rig = new DeviceRig({ echo: true, features });
    using guest = rig.frontEnd().boot();
    receiveUncalled(rig, guest);
    rig.nowMs = rig.device.deadlineMs;
    rig.pump();
    expect([guest.rx.takeCalls(), rig.device.counters[DeviceCounter.callsRepeated]]).toEqual([1, 0]);
  });

  for (const [what, stop] of [
    ["its ring stops", (guest: TestFrontEnd) => void guest.stopRing(guest.rx)],
    ["its rings are bound anew", (guest: TestFrontEnd) => guest.enableRing(guest.tx, false)],
  ] as const) {
    test(`hears of them when ${what}`, () => {
      using rig = new DeviceRig({ echo: true, features });
      using guest = rig.frontEnd().boot();
      receiveUncalled(rig, guest);
      stop(guest);
      rig.pump();
      expect(guest.rx.takeCalls()).toBe(1);
    });
  }

  test("hears of them at once when it is owed nothing", () => {
    using rig = new DeviceRig({ features });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(4);
    rig.backend.canWait = true;
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect(guest.rx.takeCalls()).toBe(1);
  });

  for (const [what, stop] of [
    ["its ring stops", (guest: TestFrontEnd) => void guest.stopRing(guest.tx)],
    ["its ring is bound anew", (guest: TestFrontEnd) => guest.enableRing(guest.rx, false)],
  ] as const) {
    test(`has the call that is owed when ${what}`, () => {
      using rig = new DeviceRig({ echo: true, features });
      using guest = rig.frontEnd().boot();
      sendUncalled(rig, guest);
      stop(guest);
      rig.pump();
      expect(guest.tx.takeCalls()).toBe(1);
    });
  }

  test("is called at once where no answer comes", () => {
    using rig = new DeviceRig({ features });
    using guest = rig.frontEnd().boot();
    for (let i = 0; i < 40; i++) {
      guest.tx.reapSent();
      guest.tx.queue.allowNotifications();
      guest.send(testFrame(60));
      rig.pump();
      expect(guest.tx.takeCalls()).toBe(1);
    }
  });
});
