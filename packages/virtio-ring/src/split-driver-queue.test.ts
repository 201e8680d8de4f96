import { expect, test } from "bun:test";
import { DescriptorChain } from "./descriptor-chain.ts";
import { PopResult } from "./device-queue.ts";
import { RingFault } from "./ring-fault.ts";
import { SplitDriverQueue } from "./split-driver-queue.ts";
import { Available, type SplitRing, Used } from "./split-ring.ts";
import { guestRing } from "./testing/guest-ring.ts";

interface Setup {
  readonly ring: SplitRing;
  readonly queue: SplitDriverQueue;
  readonly tables: Uint32Array;
}

function setup(eventIndex = false, startIndex = 0, inOrder = false): Setup {
  const { ring } = guestRing({ size: 4 });
  const tables = new Uint32Array(4 * 3 * 4);
  const indirectTables = { words: tables, guestAddress: 0x5_0000_0000, tableSize: 3 };
  return { ring, tables, queue: new SplitDriverQueue({ ring, eventIndex, indirectTables, startIndex, inOrder }) };
}

/** Plays the device: uses the chain at `head`. */
function use(ring: SplitRing, head: number, lengthBytes: number): void {
  const word = (ring.used[Used.index] % ring.size) * 2;
  ring.usedElements[word] = head;
  ring.usedElements[word + 1] = lengthBytes;
  ring.used[Used.index]++;
}

test("a chain is written as linked descriptors and becomes available when published", () => {
  const { ring, queue } = setup();
  const chain = new DescriptorChain(3).readable(0x1_2345_6789, 10).readable(0x2000, 20).writable(0x3000, 30);
  expect(queue.add(chain)).toBe(0);
  expect([...ring.descriptors.subarray(0, 12)]).toEqual(
    [
      [0x2345_6789, 1, 10, 1 | (1 << 16)],
      [0x2000, 0, 20, 1 | (2 << 16)],
      [0x3000, 0, 30, 2],
    ].flat(),
  );
  expect([queue.freeCount, ring.available[Available.index]]).toEqual([1, 0]);
  queue.publish();
  expect([...ring.available.subarray(0, 3)]).toEqual([0, 1, 0]);
});

test("an indirect chain is written to the table of its descriptor", () => {
  const { ring, queue, tables } = setup();
  queue.add(new DescriptorChain(1).readable(0x1000, 1));
  expect(queue.addIndirect(new DescriptorChain(2).readable(0x1000, 10).writable(0x2000, 20))).toBe(1);
  expect([...ring.descriptors.subarray(4, 8)]).toEqual([3 * 16, 5, 32, 4]);
  expect([...tables.subarray(12, 20)]).toEqual([0x1000, 0, 10, 1 | (1 << 16), 0x2000, 0, 20, 2]);
  expect(queue.freeCount).toBe(2);
});

test("no chain is added in part", () => {
  const { ring, queue } = setup();
  const one = new DescriptorChain(1).readable(0x1000, 1);
  const four = new DescriptorChain(4).writable(0, 1).writable(0, 1).writable(0, 1).writable(0, 1);
  expect(queue.add(new DescriptorChain(1))).toBe(-1);
  expect(queue.addIndirect(four)).toBe(-1);
  for (let i = 0; i < 4; i++) expect(queue.add(one)).toBe(i);
  const before = [...ring.descriptors];
  expect([queue.add(one), queue.addIndirect(one)]).toEqual([-1, -1]);
  expect([...ring.descriptors]).toEqual(before);
});

test("reaped chains free their descriptors, whatever the order", () => {
  const { ring, queue } = setup(false, 0xffff);
  const two = new DescriptorChain(2).readable(0x1000, 1).writable(0x1000, 100);
  expect([queue.add(two), queue.add(two), queue.add(two)]).toEqual([0, 2, -1]);
  queue.publish();
  use(ring, 2, 60);
  use(ring, 0, 0);
  expect(queue.reap()).toBe(2);
  expect([queue.reapedBytes, queue.freeCount]).toEqual([60, 2]);
  expect(queue.reap()).toBe(0);
  expect([queue.reapedBytes, queue.freeCount]).toEqual([0, 4]);
  expect(queue.reap()).toBe(PopResult.empty);
  const four = new DescriptorChain(4).readable(0, 1).readable(0, 1).readable(0, 1).readable(0, 1);
  expect(queue.add(four)).toBeGreaterThanOrEqual(0);
});

test("in order, descriptors go round the table, and one used element returns all chains up to its own", () => {
  const { ring, queue } = setup(false, 0xffff, true);
  const readable = new DescriptorChain(1).readable(0x1000, 7);
  const writable = new DescriptorChain(2).writable(0x1000, 100).writable(0x2000, 50);
  expect([queue.add(readable), queue.add(writable), queue.add(readable), queue.add(readable)]).toEqual([0, 1, 3, -1]);
  queue.publish();
  // The device skips to the third chain: one element, three chains.
  ring.usedElements.set([3, 0], (0xffff % 4) * 2);
  ring.used[Used.index] = 2;
  expect([queue.reap(), queue.reapedBytes]).toEqual([0, 0]);
  expect(queue.allowNotifications()).toBe(true);
  expect([queue.reap(), queue.reapedBytes]).toEqual([1, 150]); // used completely
  expect([queue.reap(), queue.reapedBytes]).toEqual([3, 0]);
  expect([queue.reap(), queue.freeCount]).toEqual([PopResult.empty, 4]);
  expect(queue.add(writable)).toBe(0);
  expect(queue.add(new DescriptorChain(2).readable(1, 1).readable(2, 2))).toBe(2);
  queue.publish();
  expect(ring.descriptors[11] >>> 16).toBe(3);
  // The next batch has its element where its first chain stands in the available ring.
  ring.usedElements.set([0, 33], 2 * 2);
  ring.used[Used.index] = 3;
  expect([queue.reap(), queue.reapedBytes]).toEqual([0, 33]);
});

test("in order, an element that names a chain which the index does not cover breaks the queue", () => {
  const { ring, queue } = setup(false, 0, true);
  for (let i = 0; i < 3; i++) queue.add(new DescriptorChain(1).readable(0, 1));
  queue.publish();
  ring.usedElements.set([2, 0]);
  ring.used[Used.index] = 2;
  expect([queue.reap(), queue.brokenReason]).toEqual([PopResult.broken, RingFault.usedUnknown]);
});

test("a device that returns what it does not have breaks the queue", () => {
  for (const id of [1, 4, 0xffff_ffff]) {
    const { ring, queue } = setup();
    queue.add(new DescriptorChain(2).readable(0, 1).readable(0, 1));
    queue.publish();
    use(ring, id, 0);
    expect([queue.reap(), queue.brokenReason]).toEqual([PopResult.broken, RingFault.usedUnknown]);
    expect([queue.reap(), queue.allowNotifications()]).toEqual([PopResult.broken, false]);
  }
});

test("a device that returns a chain twice breaks the queue", () => {
  const { ring, queue } = setup();
  for (let i = 0; i < 2; i++) queue.add(new DescriptorChain(1).readable(0, 1));
  queue.publish();
  use(ring, 0, 0);
  use(ring, 0, 0);
  expect([queue.reap(), queue.reap(), queue.brokenReason]).toEqual([0, PopResult.broken, RingFault.usedUnknown]);
});

test("a device whose index is ahead of what was published breaks the queue", () => {
  const { ring, queue } = setup();
  queue.add(new DescriptorChain(1).readable(0, 1));
  queue.publish();
  queue.add(new DescriptorChain(1).readable(0, 1));
  ring.used[Used.index] = 2;
  expect([queue.reap(), queue.brokenReason]).toEqual([PopResult.broken, RingFault.indexJump]);
});

test("kicks: NO_NOTIFY is honoured, and only without event indexes", () => {
  for (const eventIndex of [false, true]) {
    const { ring, queue } = setup(eventIndex);
    const chain = new DescriptorChain(1).readable(0, 1);
    const add = () => {
      queue.add(chain);
      queue.publish();
      return queue.needsKick();
    };
    expect(queue.needsKick()).toBe(false);
    ring.used[Used.flags] = 1;
    expect(add()).toBe(eventIndex); // avail_event is 0, and entry 0 was written
    ring.used[Used.flags] = 0;
    expect(add()).toBe(!eventIndex);
    ring.used[ring.used.length - 1] = 2;
    expect(add()).toBe(true);
  }
});

test("notifications: the flags, or the index of the entry waited for", () => {
  const { ring, queue } = setup(false);
  queue.suppressNotifications();
  expect(ring.available[Available.flags]).toBe(1);
  expect(queue.allowNotifications()).toBe(false);
  expect(ring.available[Available.flags]).toBe(0);

  const other = setup(true, 0xffff);
  other.queue.suppressNotifications();
  expect(other.ring.available[Available.flags]).toBe(0);
  expect(other.queue.allowNotifications(3)).toBe(false);
  expect(other.ring.available[Available.ring + 4]).toBe(2);
  other.queue.add(new DescriptorChain(1).readable(0, 1));
  other.queue.publish();
  use(other.ring, 0, 0);
  expect(other.queue.allowNotifications()).toBe(true);
});

test("errors of the caller are thrown", () => {
  expect(() => new DescriptorChain(1).readable(0, 1).readable(0, 1)).toThrow(RangeError);
  expect(() => new DescriptorChain(2).writable(0, 1).readable(0, 1)).toThrow(RangeError);
  const { ring } = guestRing({ size: 4 });
  const indirectTables = { words: new Uint32Array(63), guestAddress: 0, tableSize: 4 };
  expect(() => new SplitDriverQueue({ ring, eventIndex: false, indirectTables, startIndex: 0 })).toThrow(RangeError);
});
