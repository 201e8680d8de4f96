import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorFlag } from "./descriptor.ts";
import { type DeviceQueue, PopResult } from "./device-queue.ts";
import { Elements } from "./elements.ts";
import { SplitDeviceQueue, type SplitDeviceQueueOptions } from "./split-device-queue.ts";
import { Available, type SplitRing, Used } from "./split-ring.ts";
import { type GuestRing, type GuestRingOptions, guestRing } from "./testing/guest-ring.ts";

const { next: NEXT, write: WRITE, indirect: INDIRECT } = DescriptorFlag;

interface Setup extends GuestRing {
  readonly queue: SplitDeviceQueue;
  readonly pool: IovPool;
  readonly elements: Elements;
}

function setup(options: Partial<GuestRingOptions & SplitDeviceQueueOptions> = {}, poolCapacity = 16): Setup {
  const guest = guestRing({ size: 4, dataBytes: 4096, ...options });
  const queue = new SplitDeviceQueue({
    ring: guest.ring,
    memory: guest.memory,
    eventIndex: options.eventIndex ?? false,
    indirect: options.indirect ?? true,
    inOrder: options.inOrder ?? false,
    startIndex: options.startIndex ?? 0,
  });
  return { ...guest, queue, pool: new IovPool(guest.windows, poolCapacity), elements: new Elements(8) };
}

function describe(ring: SplitRing, index: number, address: number, length: number, flags = 0, next = 0): void {
  ring.descriptors.set([address % 2 ** 32, Math.floor(address / 2 ** 32), length, flags | (next << 16)], index * 4);
}

function makeAvailable(ring: SplitRing, ...heads: number[]): void {
  let index = ring.available[Available.index];
  for (const head of heads) ring.available[Available.ring + (index++ % ring.size)] = head;
  ring.available[Available.index] = index;
}

function entries(pool: IovPool): number[][] {
  return Array.from({ length: pool.count }, (_, i) => [pool.window[i], pool.offset[i], pool.length[i]]);
}

function element(elements: Elements, at: number): Record<string, number> {
  const { head, firstEntry, outCount, inCount, outBytes, inBytes } = elements;
  return {
    head: head[at],
    firstEntry: firstEntry[at],
    outCount: outCount[at],
    inCount: inCount[at],
    outBytes: outBytes[at],
    inBytes: inBytes[at],
  };
}

test("an empty ring pops nothing", () => {
  const { queue, elements, pool } = setup();
  expect(queue.pending()).toBe(0);
  expect(queue.pop(elements, pool)).toBe(PopResult.empty);
});

test("a chain becomes entries in order, readable ones first, and an element that says where they are", () => {
  const { queue, ring, elements, pool } = setup();
  describe(ring, 2, 1000, 12, NEXT, 0);
  describe(ring, 0, 1100, 100, NEXT, 3);
  describe(ring, 3, 1300, 1, WRITE);
  describe(ring, 1, 2000, 60, WRITE);
  makeAvailable(ring, 2, 1);
  expect(queue.pending()).toBe(2);
  expect(queue.pop(elements, pool)).toBe(0);
  expect(queue.pop(elements, pool)).toBe(1);
  expect(queue.pop(elements, pool)).toBe(PopResult.empty);
  expect(entries(pool)).toEqual([
    [0, 1000, 12],
    [0, 1100, 100],
    [0, 1300, 1],
    [0, 2000, 60],
  ]);
  expect(element(elements, 0)).toEqual({ head: 2, firstEntry: 0, outCount: 2, inCount: 1, outBytes: 112, inBytes: 1 });
  expect(element(elements, 1)).toEqual({ head: 1, firstEntry: 3, outCount: 0, inCount: 1, outBytes: 0, inBytes: 60 });
  expect(queue.nextAvailable).toBe(2);
});

test("a buffer across a window edge is two entries of one element", () => {
  const { queue, ring, elements, pool } = setup({ windowBytesMax: 1024 });
  describe(ring, 0, 1020, 8);
  makeAvailable(ring, 0);
  queue.pop(elements, pool);
  expect(entries(pool)).toEqual([
    [0, 1020, 4],
    [1, 0, 4],
  ]);
  expect(element(elements, 0)).toMatchObject({ outCount: 2, outBytes: 8 });
});

test("a buffer of no bytes is an empty entry, of no direction and at no address", () => {
  const { queue, ring, elements, pool } = setup();
  describe(ring, 0, 0xffff_ffff_0000, 0, WRITE | NEXT, 1);
  describe(ring, 1, 1000, 5);
  describe(ring, 2, 2000, 6, WRITE | NEXT, 3);
  describe(ring, 3, 1000, 0);
  makeAvailable(ring, 0, 3, 2);
  expect([0, 1, 2].map(() => queue.pop(elements, pool))).toEqual([0, 1, 2]);
  expect(entries(pool)).toEqual([
    [0, 0, 0],
    [0, 1000, 5],
    [0, 0, 0],
    [0, 2000, 6],
    [0, 0, 0],
  ]);
  expect(element(elements, 0)).toEqual({ head: 0, firstEntry: 0, outCount: 2, inCount: 0, outBytes: 5, inBytes: 0 });
  expect(element(elements, 1)).toEqual({ head: 3, firstEntry: 2, outCount: 1, inCount: 0, outBytes: 0, inBytes: 0 });
  expect(element(elements, 2)).toEqual({ head: 2, firstEntry: 3, outCount: 0, inCount: 2, outBytes: 0, inBytes: 6 });
});

for (const windowBytesMax of [2 ** 20, 7]) {
  test(`an indirect table is read wherever it lies, in windows of ${windowBytesMax} bytes`, () => {
    const { queue, ring, bytes, elements, pool, dataAddress } = setup({ windowBytesMax }, 40);
    const table = dataAddress + 101; // aligned to nothing
    const words = new Uint32Array([500, 0, 20, NEXT | (2 << 16), 0, 0, 0, 0, 600, 0, 30, WRITE]);
    bytes.set(new Uint8Array(words.buffer), table);
    describe(ring, 0, 400, 10, NEXT, 3);
    describe(ring, 3, table, 48, INDIRECT | WRITE); // its write flag means nothing
    makeAvailable(ring, 0);
    expect(queue.pop(elements, pool)).toBe(0);
    expect(element(elements, 0)).toMatchObject({ head: 0, outBytes: 30, inBytes: 30 });
    const addresses = entries(pool).flatMap(([window, offset, length]) =>
      Array.from({ length }, (_, i) => window * windowBytesMax + offset + i),
    );
    const run = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);
    expect(addresses).toEqual([...run(400, 10), ...run(500, 20), ...run(600, 30)]);
  });
}

test("a chain as long as the queue is a chain, direct or not", () => {
  const { queue, ring, bytes, elements, pool, dataAddress } = setup();
  for (let i = 0; i < 4; i++) describe(ring, i, 1000, 1, i < 3 ? NEXT : 0, i + 1);
  makeAvailable(ring, 0);
  expect(queue.pop(elements, pool)).toBe(0);
  const words = new Uint32Array([0, 1, 2, 3].flatMap((i) => [1000, 0, 1, i < 3 ? NEXT | ((i + 1) << 16) : 0]));
  bytes.set(new Uint8Array(words.buffer), dataAddress);
  describe(ring, 0, dataAddress, 64, INDIRECT);
  makeAvailable(ring, 0);
  expect(queue.pop(elements, pool)).toBe(1);
  expect(pool.count).toBe(8);
});

test("each word of a descriptor is read once: what was checked is what is used", () => {
  const { ring, memory, windows, bytes, elements, dataAddress } = setup();
  const reads = new Map<string, number>();
  const count = (key: string) => reads.set(key, (reads.get(key) ?? 0) + 1);
  const words = new Uint32Array([1000, 0, 20, NEXT | (1 << 16), 1100, 0, 30, 0]);
  bytes.set(new Uint8Array(words.buffer), dataAddress);
  describe(ring, 1, 900, 5, NEXT, 2);
  describe(ring, 2, dataAddress, 32, INDIRECT);
  makeAvailable(ring, 1);
  const descriptors = new Proxy(ring.descriptors, {
    get(target, key) {
      count(`ring word ${String(key)}`);
      return target[Number(key)];
    },
  });
  const pool = new IovPool(windows, 8);
  const view = windows.views[0];
  windows.views[0] = {
    getUint32(at: number) {
      count(`table byte ${at - dataAddress}`);
      return view.getUint32(at, true);
    },
  } as unknown as DataView;
  const options = { memory, eventIndex: false, indirect: true, startIndex: 0 };
  const queue = new SplitDeviceQueue({ ...options, ring: { ...ring, descriptors } });
  expect(queue.pop(elements, pool)).toBe(0);
  expect(element(elements, 0)).toMatchObject({ outBytes: 55 });
  expect([...reads.values()]).toEqual(new Array(16).fill(1));
});

test("a chain that does not fit what is left stays available for the next round", () => {
  const { queue, ring, elements, pool } = setup({}, 3);
  describe(ring, 0, 1000, 1, NEXT, 1);
  describe(ring, 1, 1100, 1);
  describe(ring, 2, 1200, 1, NEXT, 3);
  describe(ring, 3, 1300, 1);
  makeAvailable(ring, 0, 2);
  expect(queue.pop(elements, pool)).toBe(0);
  expect(queue.pop(elements, pool)).toBe(PopResult.poolFull);
  expect([pool.count, elements.count, queue.pending(), queue.brokenReason]).toEqual([2, 1, 1, 0]);
  pool.truncate(0);
  elements.clear();
  expect(queue.pop(elements, pool)).toBe(0);
  expect(elements.head[0]).toBe(2);
});

test("many chains share one pool, many entries here and few there", () => {
  const { queue, ring, elements, pool } = setup({ size: 8 }, 8);
  for (let i = 0; i < 5; i++) describe(ring, i, 1000 + i, 1, i < 4 ? NEXT : 0, i + 1); // a chain of five
  for (let i = 5; i < 8; i++) describe(ring, i, 1000 + i, 1);
  makeAvailable(ring, 5, 0, 6, 7);
  for (let i = 0; i < 4; i++) expect(queue.pop(elements, pool)).toBe(i);
  expect([...elements.firstEntry.subarray(0, 4)]).toEqual([0, 1, 6, 7]);
  expect([...elements.outCount.subarray(0, 4)]).toEqual([1, 5, 1, 1]);
});

test("no room for one more element leaves the chain available", () => {
  const { queue, ring, pool } = setup();
  describe(ring, 0, 1000, 1);
  makeAvailable(ring, 0, 0);
  const elements = new Elements(1);
  expect(queue.pop(elements, pool)).toBe(0);
  expect(queue.pop(elements, pool)).toBe(PopResult.poolFull);
  expect([pool.count, queue.pending(), queue.brokenReason]).toEqual([1, 1, 0]);
});

test("taking back pops is exact: the same chains come again, and the pool is what it was", () => {
  const { queue, ring, elements, pool } = setup({ startIndex: 0xfffe });
  ring.available[Available.index] = 0xfffe;
  for (let i = 0; i < 4; i++) describe(ring, i, 1000 + i, i + 1);
  makeAvailable(ring, 3, 1, 0);
  for (let i = 0; i < 3; i++) queue.pop(elements, pool);
  const before = entries(pool);
  queue.unpop(elements, 2);
  expect([elements.count, pool.count, queue.nextAvailable, queue.pending()]).toEqual([1, 1, 0xffff, 2]);
  queue.unpop(elements, 0);
  expect([queue.pop(elements, pool), queue.pop(elements, pool)]).toEqual([1, 2]);
  expect(entries(pool)).toEqual(before);
  expect([...elements.head.subarray(0, 3)]).toEqual([3, 1, 0]);
  queue.push(3, 0);
  expect(() => queue.unpop(elements, 3)).toThrow(RangeError); // one of them is pushed
  expect(() => queue.unpop(elements, 4)).toThrow(RangeError);
  expect(() => queue.unpop(elements, -1)).toThrow(RangeError);
  queue.unpop(elements, 2);
  expect(queue.nextAvailable).toBe(0xffff);
});

test("pushed chains are in the used ring at once and visible when published", () => {
  const { queue, ring, elements, pool } = setup({ startIndex: 0xffff });
  ring.available[Available.index] = 0xffff;
  ring.used[Used.index] = 0xffff;
  describe(ring, 1, 1000, 100, WRITE);
  describe(ring, 2, 1000, 100, WRITE);
  makeAvailable(ring, 2, 1);
  queue.pop(elements, pool);
  queue.pop(elements, pool);
  queue.push(2, 72);
  queue.push(1, 0);
  expect(ring.used[Used.index]).toBe(0xffff);
  expect([...ring.usedElements]).toEqual([1, 0, 0, 0, 0, 0, 2, 72]);
  queue.publish();
  expect(ring.used[Used.index]).toBe(1);
});

test("in order, one used element stands for chains that take nothing, and those with room have their own", () => {
  const { queue, ring, elements, pool } = setup({ size: 8, inOrder: true, startIndex: 0xffff });
  ring.available[Available.index] = 0xffff;
  for (let i = 0; i < 6; i++) describe(ring, i, 1000, 9, i === 2 || i === 3 ? WRITE : 0);
  makeAvailable(ring, 0, 1, 2, 3, 4, 5);
  while (queue.pop(elements, pool) >= 0);
  for (let i = 0; i < 5; i++) queue.push(i, i === 2 ? 9 : i === 3 ? 4 : 0);
  queue.publish();
  expect(ring.used[Used.index]).toBe(4);
  const element = (slot: number) => [...ring.usedElements.subarray(slot * 2, slot * 2 + 2)];
  expect([element(7), element(0), element(1)]).toEqual([
    [2, 9],
    [0, 0], // skipped
    [0, 0], // skipped
  ]);
  expect([element(2), element(3)]).toEqual([
    [3, 4],
    [4, 0],
  ]);
  queue.push(5, 0); // the batch before was published
  queue.publish();
  expect([element(3), element(4)]).toEqual([
    [4, 0],
    [5, 0],
  ]);
});

/** Makes `count` chains available, pops and pushes them, publishes. */
function carry(ring: SplitRing, queue: DeviceQueue, elements: Elements, pool: IovPool, count: number): void {
  for (let i = 0; i < count; i++) {
    makeAvailable(ring, 0);
    elements.clear();
    pool.truncate(0);
    expect(queue.pop(elements, pool)).toBe(0);
    queue.push(0, 0);
    queue.publish();
  }
}

test("without event indexes the driver is notified unless it said NO_INTERRUPT, and only of news", () => {
  const { queue, ring, elements, pool } = setup();
  describe(ring, 0, 1000, 1);
  ring.available[Available.ring + 4] = 0xabc; // used_event is nothing here
  expect(queue.needsNotification()).toBe(false);
  carry(ring, queue, elements, pool, 1);
  expect(queue.needsNotification()).toBe(true);
  expect(queue.needsNotification()).toBe(false);
  carry(ring, queue, elements, pool, 2);
  ring.available[Available.flags] = 1;
  expect(queue.needsNotification()).toBe(false);
  carry(ring, queue, elements, pool, 1);
  ring.available[Available.flags] = 0;
  expect(queue.needsNotification()).toBe(true);
});

test("with event indexes the driver is notified when the entry it waits for was published, flags or not", () => {
  const { queue, ring, elements, pool } = setup({ eventIndex: true, startIndex: 0xfffe });
  ring.available[Available.index] = 0xfffe;
  ring.available[Available.flags] = 1;
  ring.available[Available.ring + 4] = 1;
  describe(ring, 0, 1000, 1);
  carry(ring, queue, elements, pool, 3); // entries fffe, ffff, 0
  expect(queue.needsNotification()).toBe(false);
  carry(ring, queue, elements, pool, 1); // entry 1
  expect(queue.needsNotification()).toBe(true);
  carry(ring, queue, elements, pool, 2);
  expect(queue.needsNotification()).toBe(false);
});

test("more than 65535 chains published without asking are news", () => {
  const { queue, ring, elements, pool } = setup({ eventIndex: true });
  describe(ring, 0, 1000, 1);
  ring.available[Available.ring + 4] = 7;
  for (let i = 0; i < 0x1_0000; i++) {
    ring.available[Available.index]++;
    elements.clear();
    pool.truncate(0);
    queue.pop(elements, pool);
    queue.push(0, 0);
    queue.publish();
  }
  expect(queue.needsNotification()).toBe(true);
});

test("kicks are suppressed and allowed by NO_NOTIFY; what a predecessor left is overwritten", () => {
  const { queue, ring } = setup();
  ring.used[Used.flags] = 1;
  expect(queue.allowKicks()).toBe(false);
  expect(ring.used[Used.flags]).toBe(0);
  queue.suppressKicks();
  expect(ring.used[Used.flags]).toBe(1);
  makeAvailable(ring, 0);
  expect(queue.allowKicks()).toBe(true);
  expect(ring.used[Used.flags]).toBe(0);
  expect(ring.used[ring.used.length - 1]).toBe(0);
});

test("with event indexes kicks are allowed by avail_event, and the flags are 0", () => {
  const { queue, ring, elements, pool } = setup({ eventIndex: true });
  describe(ring, 0, 1000, 1);
  ring.used[Used.flags] = 1;
  queue.suppressKicks();
  expect(ring.used[Used.flags]).toBe(0);
  makeAvailable(ring, 0, 0);
  expect(queue.allowKicks()).toBe(true);
  queue.pop(elements, pool);
  queue.pop(elements, pool);
  expect(queue.allowKicks()).toBe(false);
  expect(ring.used[ring.used.length - 1]).toBe(2);
  expect(ring.used[Used.flags]).toBe(0);
  ring.used[Used.flags] = 1;
  const other = setup({ eventIndex: true });
  other.ring.used[Used.flags] = 1;
  other.queue.allowKicks();
  expect(other.ring.used[Used.flags]).toBe(0);
});
