import { describe, expect, test } from "bun:test";
import { Refused } from "@passt-ts/net-backend/rx-sink";
import { NetFault } from "./net-fault.ts";
import { faultsOf, frameOf, ReceiveRig } from "./testing/receive-rig.ts";

describe("room", () => {
  test("a waiting engine is told of room, once the driver adds buffers and kicks", () => {
    for (const eventIndex of [false, true]) {
      const rig = new ReceiveRig({ chains: 0, eventIndex });
      expect(rig.rx.reserve(60)).toBe(Refused.noRoom);
      expect(rig.rx.wantRoom(true)).toBe(false);
      rig.driver.post([1526]);
      expect(rig.driver.queue.needsKick()).toBe(true);
      expect(rig.rx.wantRoom(true)).toBe(true);
      expect(rig.rx.reserve(60)).toBe(0);
      rig.rx.giveBack(0);
    }
  });

  test("buffers left that are too few are no reason to try again, and what follows them kicks", () => {
    for (const eventIndex of [false, true]) {
      const rig = new ReceiveRig({ layout: [500], chains: 2, eventIndex });
      rig.driver.queue.needsKick();
      expect(rig.rx.reserve(1400)).toBe(Refused.noRoom);
      expect(rig.rx.wantRoom(true)).toBe(false);
      expect(rig.rx.wantRoom(true)).toBe(false);
      expect(rig.queue.nextAvailable).toBe(0);
      rig.driver.post([500]);
      expect(rig.driver.queue.needsKick()).toBe(true);
      expect(rig.rx.wantRoom(true)).toBe(true);
      expect(rig.rx.reserve(1400)).toBe(0);
      rig.rx.giveBack(0);
    }
  });

  test("kicks are not asked for while nobody waits", () => {
    const rig = new ReceiveRig({ chains: 0 });
    rig.driver.post([1526]);
    expect(rig.driver.queue.needsKick()).toBe(false);
    rig.rx.wantRoom(true);
    rig.driver.post([1526]);
    expect(rig.driver.queue.needsKick()).toBe(true);
    rig.rx.wantRoom(false);
    rig.driver.post([1526]);
    expect(rig.driver.queue.needsKick()).toBe(false);
  });

  test("a want that was said while there was no ring holds for the next ring", () => {
    const rig = new ReceiveRig({ chains: 0 });
    rig.rx.bind(null, 12, true, 0);
    expect(rig.rx.wantRoom(true)).toBe(false);
    rig.rx.bind(rig.queue, 12, true, 0);
    rig.driver.post([1526]);
    expect(rig.driver.queue.needsKick()).toBe(true);
  });

  test("no more frames than the batch holds, until all are settled", () => {
    const rig = new ReceiveRig({ frameCapacity: 2 });
    expect([rig.rx.reserve(60), rig.rx.reserve(60), rig.rx.reserve(60)]).toEqual([0, 1, Refused.noRoom]);
    rig.rx.commit(0, 60);
    expect(rig.rx.reserve(60)).toBe(Refused.noRoom);
    rig.rx.commit(1, 60);
    expect(rig.rx.reserve(60)).toBe(0);
    rig.rx.giveBack(0);
  });
});

describe("the ring comes and goes", () => {
  test("no ring: not ready, no room, nothing to publish", () => {
    const rig = new ReceiveRig();
    rig.rx.bind(null, 12, true, 0);
    expect(rig.rx.ready).toBe(false);
    expect(rig.rx.reserve(60)).toBe(Refused.notReady);
    expect(rig.rx.publish()).toBe(false);
    expect(rig.rx.needsNotification()).toBe(false);
    expect(rig.rx.brokenReason).toBe(0);
    expect(rig.counter("rxNotReady")).toBe(1);
  });

  test("when it stops, used.idx is a correct point to restart from", () => {
    const rig = new ReceiveRig({ layout: [100] });
    rig.rx.reserve(300);
    rig.rx.reserve(300);
    rig.fill(0, frameOf(300));
    rig.rx.commit(0, 300);
    rig.rx.bind(null, 12, true, 0);
    expect(rig.driver.ring.used[1]).toBe(4);
    expect(rig.queue.nextAvailable).toBe(4);
    expect(faultsOf(rig.receive(), frameOf(300), true)).toEqual([]);
    expect(rig.rx.frames.count).toBe(0);
  });

  test("a queue larger than expected is refused", () => {
    expect(() => new ReceiveRig({ size: 4096, chains: 0 })).toThrow("a queue of 4096 descriptors");
  });
});

describe("a driver that breaks the rules breaks its queue, and the owner can see why", () => {
  test("a device-readable receive buffer", () => {
    const rig = new ReceiveRig({ chains: 0 });
    rig.driver.post([40]);
    rig.driver.postMixed([1526, 1526], 1);
    expect(rig.rx.reserve(60)).toBe(Refused.notReady);
    expect(rig.rx.brokenReason).toBe(NetFault.receiveBufferReadable);
    expect(rig.rx.ready).toBe(false);
    expect(rig.rx.wantRoom(true)).toBe(false);
    expect(rig.queue.nextAvailable).toBe(0);
    expect(rig.rx.frames.pool.count).toBe(0);
  });

  test("a receive buffer of no bytes", () => {
    const rig = new ReceiveRig({ chains: 0 });
    rig.driver.post([0]);
    expect(rig.rx.reserve(60)).toBe(Refused.notReady);
    expect(rig.rx.brokenReason).toBe(NetFault.receiveBufferEmpty);
    rig.rx.bind(rig.queue, 12, true, 0);
    expect(rig.rx.brokenReason).toBe(0);
  });

  test("a frame that was reserved before the fault still arrives", () => {
    const rig = new ReceiveRig({ size: 8, layout: [100], chains: 1 });
    rig.rx.reserve(60);
    rig.fill(0, frameOf(60));
    rig.driver.ring.available[1] += 100;
    expect(rig.rx.reserve(60)).toBe(Refused.notReady);
    expect(rig.rx.brokenReason).not.toBe(0);
    rig.rx.commit(0, 60);
    rig.rx.publish();
    expect(faultsOf(rig.receive(), frameOf(60), true)).toEqual([]);
  });
});

test("two devices in one process never disturb each other", () => {
  const one = new ReceiveRig({ layout: [1, 1, 1, 1526] });
  const other = new ReceiveRig({ layout: [3, 1526], mergeable: false, headerLength: 10 });
  one.rx.reserve(200);
  other.rx.reserve(300);
  one.fill(0, frameOf(200, 1));
  other.fill(0, frameOf(300, 2));
  other.rx.commit(0, 300);
  one.rx.commit(0, 200);
  one.rx.publish();
  expect(other.driver.ring.used[1]).toBe(0);
  other.rx.publish();
  expect(faultsOf(one.receive(), frameOf(200, 1), true)).toEqual([]);
  expect(faultsOf(other.receive(), frameOf(300, 2), false)).toEqual([]);
});

test("misuse by an engine is an error, not a corrupted ring", () => {
  const rig = new ReceiveRig({ layout: [100] });
  rig.rx.reserve(300);
  rig.rx.reserve(300);
  expect(() => rig.rx.commit(1, 300)).toThrow("oldest");
  expect(() => rig.rx.commit(0, 301)).toThrow(RangeError);
  expect(() => rig.rx.commit(0, 60)).toThrow("not the newest");
  expect(() => rig.rx.giveBack(2)).toThrow("not reserved");
  rig.rx.giveBack(0);
  expect(rig.queue.nextAvailable).toBe(0);
});
