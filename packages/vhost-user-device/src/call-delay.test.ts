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
    ["a frame follows that nothing came between", (delay: CallDelay) => delay.add(1, 60, 101)],
    ["an answer comes late", (delay: CallDelay) => delay.answered(101.5)],
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
    expect(rig.device.deadlineMs).toBe(Infinity);
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
