import { describe, expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { CallRepeat } from "./call-repeat.ts";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

describe("when to call again", () => {
  test("never before there was a call, or once it was heard", () => {
    const repeat = new CallRepeat();
    expect([repeat.dueMs, repeat.isDue(true, true, 1e9)]).toEqual([Infinity, false]);
    repeat.called(100);
    expect([repeat.isDue(false, true, 200), repeat.dueMs, repeat.isDue(true, true, 300)]).toEqual([
      false,
      Infinity,
      false,
    ]);
  });

  test("5 ms after a call that is not heard, then 10 and 20 ms later, and no more", () => {
    const repeat = new CallRepeat();
    repeat.called(100);
    const at: number[] = [];
    for (let nowMs = 100; nowMs < 300; nowMs++) if (repeat.isDue(true, false, nowMs)) at.push(nowMs);
    expect(at).toEqual([105, 115, 135]);
    expect(repeat.dueMs).toBe(Infinity);
  });

  test("sooner, but once only and not at once, when there is more that the driver would be called for", () => {
    const repeat = new CallRepeat();
    repeat.called(100);
    expect([100.04, 100.06, 100.5, 101].map((nowMs) => repeat.isDue(true, true, nowMs))).toEqual([
      false,
      true,
      false,
      false,
    ]);
    expect(repeat.dueMs).toBeCloseTo(105.06);
  });
});

describe("how long a driver has", () => {
  /** How long after a call that is not heard the next one is due. */
  const patienceMs = (repeat: CallRepeat): number => {
    repeat.called(100);
    return repeat.dueMs - 100;
  };

  const miss = (repeat: CallRepeat): void => {
    repeat.called(100);
    repeat.isDue(true, false, 200);
  };

  const hear = (repeat: CallRepeat, times: number): void => {
    for (let i = 0; i < times; i++) {
      repeat.called(100);
      repeat.isDue(false, false, 100);
    }
  };

  test("half as long after each call that it did not hear, but a quarter of a millisecond at least", () => {
    const repeat = new CallRepeat();
    const seen = [5, 2.5, 1.25, 0.625, 0.3125, 0.25, 0.25].map((expectedMs) => {
      const seenMs = patienceMs(repeat);
      miss(repeat);
      return [expectedMs, seenMs];
    });
    for (const [expectedMs, seenMs] of seen) expect(seenMs).toBeCloseTo(expectedMs);
  });

  test("twice as long after 64 calls in a row that it heard, but 5 ms at most", () => {
    const repeat = new CallRepeat();
    for (let i = 0; i < 2; i++) miss(repeat);
    hear(repeat, 63);
    expect(patienceMs(repeat)).toBeCloseTo(1.25);
    hear(repeat, 1);
    expect(patienceMs(repeat)).toBeCloseTo(2.5);
    hear(repeat, 1000);
    expect(patienceMs(repeat)).toBeCloseTo(5);
  });

  test("calls for news say nothing of it: the driver may only be slow", () => {
    const repeat = new CallRepeat();
    repeat.called(100);
    expect(repeat.isDue(true, true, 101)).toBe(true);
    expect(patienceMs(repeat)).toBeCloseTo(5);
  });
});

describe("a driver that does not hear its call", () => {
  /** A guest with buffers, of which nothing was heard since it was called for a frame. */
  function deafGuest(rig: DeviceRig): TestFrontEnd {
    const guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
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

  test("is called again with its next frame", () => {
    using rig = new DeviceRig({ features: { offer: eventIndex } });
    using guest = deafGuest(rig);
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect([guest.rx.takeCalls(), repeated(rig)]).toEqual([1, 1]);
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
