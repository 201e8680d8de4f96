import { expect, test } from "bun:test";
import { DescriptorFlag } from "./descriptor.ts";
import { DescriptorChain } from "./descriptor-chain.ts";
import { PopResult } from "./device-queue.ts";
import { PackedDriverQueue } from "./packed-driver-queue.ts";
import type { PackedRing } from "./packed-ring.ts";
import { RingFault } from "./ring-fault.ts";
import { guestPackedRing } from "./testing/guest-ring.ts";

const { next: NEXT, write: WRITE, indirect: INDIRECT, available: AVAIL, used: USED } = DescriptorFlag;

interface Setup {
  readonly ring: PackedRing;
  readonly queue: PackedDriverQueue;
  readonly tables: Uint32Array;
}

function setup(options: { eventIndex?: boolean; inOrder?: boolean; startIndex?: number; size?: number } = {}): Setup {
  const { eventIndex = false, inOrder = false, startIndex = 0x8000, size = 5 } = options;
  const { ring } = guestPackedRing({ size });
  const tables = new Uint32Array(size * 3 * 4);
  const indirectTables = { words: tables, guestAddress: 0x5_0000_0000, tableSize: 3 };
  return { ring, tables, queue: new PackedDriverQueue({ ring, eventIndex, inOrder, indirectTables, startIndex }) };
}

/** A descriptor as address, length, id, flags. */
function descriptor(ring: PackedRing, index: number): number[] {
  const [low, high, length, last] = ring.descriptors.subarray(index * 4, index * 4 + 4);
  return [high * 2 ** 32 + low, length, last & 0xffff, last >>> 16];
}

/** Plays the device: returns a chain at `index`, in a lap with this wrap counter. */
function use(ring: PackedRing, index: number, id: number, lengthBytes: number, flags = AVAIL | USED): void {
  ring.descriptors[index * 4 + 2] = lengthBytes;
  ring.descriptors[index * 4 + 3] = ((flags << 16) | id) >>> 0;
}

const one = new DescriptorChain(1).readable(0x1000, 1);

test("a chain is written one descriptor after the other, and its first flags when it is published", () => {
  const { ring, queue } = setup();
  const chain = new DescriptorChain(3).readable(0x1_2345_6789, 10).readable(0x2000, 20).writable(0x3000, 30);
  expect([queue.add(chain), queue.add(one)]).toEqual([0, 1]);
  expect(descriptor(ring, 0)).toEqual([0x1_2345_6789, 10, 0, 0]);
  expect(descriptor(ring, 1)).toEqual([0x2000, 20, 0, AVAIL | NEXT]);
  expect(descriptor(ring, 2)).toEqual([0x3000, 30, 0, AVAIL | WRITE]);
  expect(descriptor(ring, 3)).toEqual([0x1000, 1, 1, AVAIL]);
  expect(queue.freeCount).toBe(1);
  queue.publish();
  expect(descriptor(ring, 0)).toEqual([0x1_2345_6789, 10, 0, AVAIL | NEXT]);
});

test("the wrap counter turns behind the last descriptor", () => {
  const { ring, queue } = setup({ startIndex: 0x8004 });
  queue.add(new DescriptorChain(2).readable(0x1000, 1).writable(0x2000, 2));
  queue.publish();
  expect(descriptor(ring, 4)[3]).toBe(AVAIL | NEXT);
  expect(descriptor(ring, 0)[3]).toBe(USED | WRITE);
  expect(descriptor(ring, 1)[3]).toBe(AVAIL | USED); // as used in this lap, before the start
  use(ring, 4, 0, 2, AVAIL | USED | WRITE);
  expect([queue.reap(), queue.reapedBytes, queue.freeCount]).toEqual([0, 2, 5]);
  queue.add(one);
  queue.publish();
  use(ring, 1, 0, 99, 0);
  expect([queue.reap(), queue.reapedBytes]).toEqual([0, 0]); // without WRITE the length means nothing
});

test("an indirect chain is written to the table of its buffer id", () => {
  const { ring, queue, tables } = setup();
  queue.add(one);
  expect(queue.addIndirect(new DescriptorChain(2).readable(0x1000, 10).writable(0x2000, 20))).toBe(1);
  expect(descriptor(ring, 1)).toEqual([0x5_0000_0030, 32, 1, AVAIL | INDIRECT]);
  expect([...tables.subarray(12, 20)]).toEqual([0x1000, 0, 10, 0, 0x2000, 0, 20, WRITE << 16]);
  expect(queue.freeCount).toBe(3);
});

test("no chain is added in part", () => {
  const { ring, queue } = setup({ size: 3 });
  const four = new DescriptorChain(4).writable(0, 1).writable(0, 1).writable(0, 1).writable(0, 1);
  expect([queue.add(new DescriptorChain(1)), queue.addIndirect(four), queue.add(four)]).toEqual([-1, -1, -1]);
  for (let i = 0; i < 3; i++) expect(queue.add(one)).toBe(i);
  const before = [...ring.descriptors];
  expect([queue.add(one), queue.addIndirect(one)]).toEqual([-1, -1]);
  expect([...ring.descriptors]).toEqual(before);
});

test("chains come back in any order when the order is not agreed on", () => {
  const { ring, queue } = setup();
  const two = new DescriptorChain(2).readable(0x1000, 1).writable(0x1000, 100);
  expect([queue.add(two), queue.add(two), queue.add(two)]).toEqual([0, 1, -1]);
  queue.publish();
  use(ring, 0, 1, 60, AVAIL | USED | WRITE);
  use(ring, 2, 0, 0);
  expect([queue.reap(), queue.reapedBytes, queue.freeCount]).toEqual([1, 60, 3]);
  expect([queue.reap(), queue.reapedBytes, queue.freeCount]).toEqual([0, 0, 5]);
  expect(queue.reap()).toBe(PopResult.empty);
});

test("in order, one used descriptor returns all chains up to its own", () => {
  const { ring, queue } = setup({ inOrder: true });
  const writable = new DescriptorChain(2).writable(0x1000, 100).writable(0x2000, 50);
  const ids = [queue.add(writable), queue.add(one), queue.add(one), queue.add(one)];
  queue.publish();
  use(ring, 0, ids[2], 0);
  expect([queue.reap(), queue.reapedBytes]).toEqual([ids[0], 150]); // used completely
  expect(queue.allowNotifications()).toBe(true);
  expect([queue.reap(), queue.reapedBytes]).toEqual([ids[1], 0]);
  expect([queue.reap(), queue.freeCount]).toEqual([ids[2], 4]);
  expect(queue.reap()).toBe(PopResult.empty);
  use(ring, 4, ids[3], 0);
  expect([queue.reap(), queue.freeCount]).toEqual([ids[3], 5]);
});

test("a device that returns what it does not have, or returns it twice, breaks the queue", () => {
  for (const inOrder of [false, true]) {
    for (const id of [1, 2, 5, 0xffff]) {
      const { ring, queue } = setup({ inOrder });
      queue.add(one);
      queue.publish();
      queue.add(one); // buffer id 1 is not published
      use(ring, 0, id, 0);
      expect([queue.reap(), queue.brokenReason]).toEqual([PopResult.broken, RingFault.usedUnknown]);
      expect([queue.reap(), queue.allowNotifications()]).toEqual([PopResult.broken, false]);
    }
    const { ring, queue } = setup({ inOrder });
    for (let i = 0; i < 2; i++) queue.add(one);
    queue.publish();
    use(ring, 0, 0, 0);
    use(ring, 1, 0, 0);
    expect([queue.reap(), queue.reap(), queue.brokenReason]).toEqual([0, PopResult.broken, RingFault.usedUnknown]);
  }
});

test("kicks are sent as the device event suppression says", () => {
  const { ring, queue } = setup({ eventIndex: true });
  const add = () => {
    queue.add(one);
    queue.publish();
    return queue.needsKick();
  };
  expect(queue.needsKick()).toBe(false);
  ring.deviceEvent[0] = 1 << 16;
  expect(add()).toBe(false);
  ring.deviceEvent[0] = 0;
  expect(add()).toBe(true);
  ring.deviceEvent[0] = (2 << 16) | 0x8003;
  expect([add(), add(), add()]).toEqual([false, true, false]);
});

test("chains that are added and not published do not count for a kick", () => {
  const { ring, queue } = setup({ eventIndex: true });
  ring.deviceEvent[0] = (2 << 16) | 0x8001;
  queue.add(one);
  queue.publish();
  queue.add(one);
  expect(queue.needsKick()).toBe(false);
  queue.publish();
  expect(queue.needsKick()).toBe(true);
});

test("notifications: none, all, or that of a descriptor with its wrap counter", () => {
  const { ring, queue } = setup();
  queue.suppressNotifications();
  expect(ring.driverEvent[0]).toBe(1 << 16);
  expect(queue.allowNotifications()).toBe(false);
  expect(ring.driverEvent[0]).toBe(0);

  const other = setup({ eventIndex: true, startIndex: 0x8003 });
  expect(other.queue.allowNotifications(1)).toBe(false);
  expect(other.ring.driverEvent[0]).toBe((2 << 16) | 0x8004);
  expect(other.queue.allowNotifications(2)).toBe(false);
  expect(other.ring.driverEvent[0]).toBe(2 << 16);
  other.queue.add(one);
  other.queue.publish();
  use(other.ring, 3, 0, 0);
  expect(other.queue.allowNotifications()).toBe(true);
  expect(other.queue.reap()).toBe(0);
});

test("errors of the caller are thrown", () => {
  const { ring } = guestPackedRing({ size: 3 });
  const indirectTables = { words: new Uint32Array(47), guestAddress: 0, tableSize: 4 };
  const options = { ring, eventIndex: false, startIndex: 0x8000 };
  expect(() => new PackedDriverQueue({ ...options, indirectTables })).toThrow(RangeError);
  expect(() => new PackedDriverQueue({ ...options, indirectTables: null, startIndex: 0x8003 })).toThrow(RangeError);
});
