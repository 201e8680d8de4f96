import { describe, expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { CallRepeat } from "./call-repeat.ts";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

/** One whose driver has missed a call before. */
function warned(): CallRepeat {
  const repeat = new CallRepeat();
  repeat.called(0);
  repeat.isDue(true, false, 5);
  repeat.isDue(false, false, 6);
  return repeat;
}

describe("when to call again", () => {
  test("never before there was a call, or once it was heard, or when it could not be told", () => {
    const repeat = new CallRepeat();
    expect([repeat.dueMs, repeat.isDue(true, true, 1e9)]).toEqual([Infinity, false]);
    repeat.called(100);
    expect([repeat.isDue(false, true, 200), repeat.dueMs, repeat.isDue(true, true, 300)]).toEqual([
      false,
      Infinity,
      false,
    ]);
    repeat.called(Infinity);
    expect([repeat.isPending, repeat.dueMs, repeat.isDue(true, true, 400)]).toEqual([false, Infinity, false]);
  });

  test("5 ms after a call that is not heard, then 10 and 20 ms later, and no more", () => {
    const repeat = new CallRepeat();
    repeat.called(100);
    const at: number[] = [];
    for (let nowMs = 100; nowMs < 300; nowMs++) if (repeat.isDue(true, false, nowMs)) at.push(nowMs);
    expect(at).toEqual([105, 115, 135]);
    expect(repeat.dueMs).toBe(Infinity);
  });

  test("with what came since, when the driver has missed a call before: not at once, and every 20 ms at most", () => {
    const repeat = warned();
    repeat.called(100);
    const times = [100.04, 100.06, 100.5, 101];
    expect(times.map((nowMs) => repeat.isDue(true, true, nowMs))).toEqual([false, true, false, false]);
    // The repeats that are due in time are over by 135 ms.
    for (let nowMs = 101; nowMs < 200; nowMs++) repeat.isDue(true, false, nowMs);
    expect([200, 210, 221].map((nowMs) => repeat.isDue(true, true, nowMs))).toEqual([true, false, true]);
  });

  test("with what came too soon for that, a moment later", () => {
    const repeat = warned();
    repeat.called(100);
    expect(repeat.isDue(true, true, 100.01)).toBe(false);
    expect(repeat.isDue(true, false, 100.1)).toBe(true);
  });

  test("not with what came since, when the driver never missed a call: it may only be slow", () => {
    const repeat = new CallRepeat();
    repeat.called(100);
    expect(repeat.isDue(true, true, 101)).toBe(false);
  });
});

describe("how long a driver has", () => {
  /** How long after a call that is not heard the next one is due. */
  const patienceMs = (repeat: CallRepeat): number => {
    repeat.called(100);
    const { dueMs } = repeat;
    repeat.called(Infinity);
    return dueMs - 100;
  };

  /** A call that is heard after so many repeats. */
  const miss = (repeat: CallRepeat, repeats = 1): void => {
    repeat.called(100);
    for (let i = 0; i < repeats; i++) repeat.isDue(true, false, 200 + 100 * i);
  };

  const hear = (repeat: CallRepeat, times: number): void => {
    for (let i = 0; i < times; i++) {
      repeat.called(100);
      repeat.isDue(false, false, 100);
    }
  };

  for (const repeats of [1, 3]) {
    test(`half as long after each call that it did not hear, but a quarter of a millisecond at least; ${repeats} repeated`, () => {
      const repeat = new CallRepeat();
      for (const expectedMs of [5, 2.5, 1.25, 0.625, 0.3125, 0.25, 0.25]) {
        repeat.called(100);
        expect(repeat.dueMs - 100).toBeCloseTo(expectedMs);
        miss(repeat, repeats);
      }
    });
  }

  test("twice as long after 1024 calls in a row that it heard, but 5 ms at most", () => {
    const repeat = new CallRepeat();
    for (let i = 0; i < 2; i++) miss(repeat);
    repeat.called(Infinity);
    miss(repeat);
    repeat.isDue(false, false, 200);
    hear(repeat, 1022);
    repeat.called(100);
    expect(repeat.dueMs - 100).toBeCloseTo(0.625);
    // Wanting the next call, it has heard this one.
    repeat.called(100);
    expect(repeat.dueMs - 100).toBeCloseTo(1.25);
    hear(repeat, 10_000);
    expect(patienceMs(repeat)).toBeCloseTo(5);
  });

  test("and what it was like is forgotten with it", () => {
    const repeat = new CallRepeat();
    for (let i = 0; i < 5; i++) miss(repeat);
    repeat.bind();
    expect([repeat.isPending, repeat.dueMs]).toEqual([false, Infinity]);
    expect(patienceMs(repeat)).toBeCloseTo(5);
    repeat.called(100);
    expect(repeat.isDue(true, true, 101)).toBe(false);
  });
});

describe("a driver that does not hear its call", () => {
  /** A guest with buffers, of which nothing was heard since it was called for a frame. */
  function deafGuest(rig: DeviceRig): TestFrontEnd {
    const guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    guest.rx.queue.allowNotifications();
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect(guest.rx.takeCalls()).toBe(1);
    return guest;
  }

  const repeated = (rig: DeviceRig): number => rig.device.counters[DeviceCounter.callsRepeated];
  const eventIndex = featureMask(VirtioFeature.EVENT_IDX);

  for (const [what, features] of [
    ["split", eventIndex],
    ["packed", eventIndex | featureMask(VirtioFeature.RING_PACKED)],
  ] as const) {
    test(`is called again, ${what} ring`, () => {
      using rig = new DeviceRig({ features: { offer: features } });
      using guest = deafGuest(rig);
      let calls = 0;
      for (let i = 0; i < 5 && rig.device.deadlineMs !== Infinity; i++) {
        rig.nowMs = rig.device.deadlineMs;
        rig.pump();
        calls += guest.rx.takeCalls();
      }
      expect([calls, repeated(rig), rig.device.deadlineMs]).toEqual([3, 3, Infinity]);
    });

    test(`is not called again once it has said where it waits next, ${what} ring`, () => {
      using rig = new DeviceRig({ features: { offer: features } });
      using guest = deafGuest(rig);
      guest.receiveMany(1);
      guest.rx.queue.allowNotifications();
      rig.pump();
      expect([guest.rx.takeCalls(), repeated(rig), rig.device.deadlineMs]).toEqual([0, 0, Infinity]);
    });
  }

  test("is called again with its next frame, also when it was given up", () => {
    using rig = new DeviceRig({ features: { offer: eventIndex } });
    using guest = deafGuest(rig);
    while (rig.device.deadlineMs !== Infinity) {
      rig.nowMs = rig.device.deadlineMs;
      rig.pump();
    }
    expect([guest.rx.takeCalls(), repeated(rig)]).toEqual([3, 3]);
    rig.nowMs += 1000;
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect([guest.rx.takeCalls(), repeated(rig)]).toEqual([1, 4]);
  });

  test("is called again when its ring is bound anew", () => {
    using rig = new DeviceRig({ features: { offer: eventIndex } });
    using guest = deafGuest(rig);
    guest.enableRing(guest.tx, false);
    rig.pump();
    expect([guest.rx.takeCalls(), repeated(rig)]).toEqual([1, 1]);
  });

  test("that waits for any descriptor of a packed ring, as at the beginning, cannot say that it heard, and is left alone", () => {
    using rig = new DeviceRig({ features: { offer: eventIndex | featureMask(VirtioFeature.RING_PACKED) } });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect([guest.rx.takeCalls(), rig.device.deadlineMs]).toEqual([1, Infinity]);
  });

  test("is left alone where it could not say that it heard: without event indexes", () => {
    using rig = new DeviceRig({ features: { offer: 0n } });
    using _guest = deafGuest(rig);
    expect(rig.device.deadlineMs).toBe(Infinity);
  });

  test("is called again for what it sent", () => {
    using rig = new DeviceRig({ features: { offer: eventIndex } });
    using guest = rig.frontEnd().boot();
    guest.tx.queue.allowNotifications();
    guest.send(testFrame(60));
    rig.pump();
    expect(guest.tx.takeCalls()).toBe(1);
    rig.nowMs = rig.device.deadlineMs;
    rig.pump();
    expect(guest.tx.takeCalls()).toBe(1);
  });
});
