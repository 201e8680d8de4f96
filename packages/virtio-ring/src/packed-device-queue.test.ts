import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorFlag } from "./descriptor.ts";
import { PopResult } from "./device-queue.ts";
import { Elements } from "./elements.ts";
import { PackedDeviceQueue, type PackedDeviceQueueOptions } from "./packed-device-queue.ts";
import type { PackedRing } from "./packed-ring.ts";
import { type GuestPackedRing, type GuestRingOptions, guestPackedRing } from "./testing/guest-ring.ts";

const { next: NEXT, write: WRITE, indirect: INDIRECT, available: AVAIL, used: USED } = DescriptorFlag;

interface Setup extends GuestPackedRing {
  readonly queue: PackedDeviceQueue;
  readonly pool: IovPool;
  readonly elements: Elements;
}

function setup(options: Partial<GuestRingOptions & PackedDeviceQueueOptions> = {}, poolCapacity = 16): Setup {
  const guest = guestPackedRing({ size: 4, dataBytes: 4096, ...options });
  const queue = new PackedDeviceQueue({
    ring: guest.ring,
    memory: guest.memory,
    eventIndex: options.eventIndex ?? false,
    indirect: options.indirect ?? true,
    inOrder: options.inOrder ?? false,
    startIndex: options.startIndex ?? 0x8000,
  });
  return { ...guest, queue, pool: new IovPool(guest.windows, poolCapacity), elements: new Elements(8) };
}

function describe(ring: PackedRing, index: number, address: number, length: number, flags: number, id = 0): void {
  ring.descriptors.set(
    [address % 2 ** 32, Math.floor(address / 2 ** 32), length, ((flags << 16) | id) >>> 0],
    index * 4,
  );
}

function used(ring: PackedRing, index: number): number[] {
  const word = ring.descriptors[index * 4 + 3];
  return [word & 0xffff, word >>> 16, ring.descriptors[index * 4 + 2]];
}

function entries(pool: IovPool): number[][] {
  return Array.from({ length: pool.count }, (_, i) => [pool.window[i], pool.offset[i], pool.length[i]]);
}

test("a ring of zeros is empty, in a lap of either wrap counter", () => {
  for (const startIndex of [0x8000, 0]) {
    const { queue, elements, pool } = setup({ startIndex });
    expect([queue.pending(), queue.pop(elements, pool)]).toEqual([0, PopResult.empty]);
  }
});

test("a chain begins where the last one ended; its id is that of its last descriptor", () => {
  const { queue, ring, elements, pool } = setup();
  describe(ring, 0, 1000, 12, AVAIL | NEXT, 77);
  describe(ring, 1, 1100, 100, AVAIL | NEXT, 78);
  describe(ring, 2, 1300, 1, AVAIL | WRITE, 9);
  describe(ring, 3, 2000, 60, AVAIL | WRITE, 0xffff);
  expect(queue.pop(elements, pool)).toBe(0);
  expect(queue.pop(elements, pool)).toBe(1);
  expect(queue.pop(elements, pool)).toBe(PopResult.empty);
  expect(entries(pool)).toEqual([
    [0, 1000, 12],
    [0, 1100, 100],
    [0, 1300, 1],
    [0, 2000, 60],
  ]);
  expect([...elements.head.subarray(0, 2)]).toEqual([9, 0xffff]);
  expect([...elements.firstEntry.subarray(0, 2)]).toEqual([0, 3]);
  expect([elements.outCount[0], elements.inCount[0], elements.outBytes[0], elements.inBytes[0]]).toEqual([
    2, 1, 112, 1,
  ]);
  expect(queue.nextAvailable).toBe(0x8000_0000); // looks at offset 0 of the next lap, has used nothing
  expect(queue.heldDescriptors).toBe(4);
});

test("availability is told by both flags against the wrap counter", () => {
  for (const flags of [0, USED, AVAIL | USED]) {
    const { queue, ring, elements, pool } = setup();
    describe(ring, 0, 1000, 1, flags);
    expect([queue.pending(), queue.pop(elements, pool)]).toEqual([0, PopResult.empty]);
  }
  for (const flags of [0, AVAIL, AVAIL | USED]) {
    const { queue, ring, elements, pool } = setup({ startIndex: 0 });
    describe(ring, 0, 1000, 1, flags);
    expect([queue.pending(), queue.pop(elements, pool)]).toEqual([0, PopResult.empty]);
  }
});

test("a chain over the end of the ring changes its flags there", () => {
  const { queue, ring, elements, pool } = setup({ size: 3, startIndex: 0x8002 });
  describe(ring, 2, 1000, 1, AVAIL | NEXT);
  describe(ring, 0, 1001, 2, USED, 5);
  expect(queue.pop(elements, pool)).toBe(0);
  expect([elements.head[0], elements.outBytes[0]]).toEqual([5, 3]);
  expect(queue.nextAvailable).toBe(0x8002_0001);
  queue.push(5, 0);
  queue.publish();
  expect(used(ring, 2)).toEqual([5, AVAIL | USED, 0]);
  expect(used(ring, 0)[1]).toBe(USED); // the chain's other descriptors stay as they are
  expect(queue.nextAvailable).toBe(0x0001_0001);
});

test("used descriptors lie where the chains began, and appear when they are published, the first one last", () => {
  const { queue, ring, elements, pool } = setup();
  describe(ring, 0, 1000, 100, AVAIL | WRITE | NEXT);
  describe(ring, 1, 1000, 100, AVAIL | WRITE, 1);
  describe(ring, 2, 1000, 100, AVAIL | WRITE, 3);
  const before = [...ring.descriptors];
  expect([queue.pop(elements, pool), queue.pop(elements, pool)]).toEqual([0, 1]);
  queue.push(1, 0);
  queue.push(3, 72);
  expect([...ring.descriptors]).toEqual(before);
  const store = Atomics.store;
  let stores = 0;
  Atomics.store = ((target: Uint32Array, index: number, value: number) => {
    expect([target, index]).toEqual([ring.descriptors, 3]);
    expect([ring.descriptors[2], ring.descriptors[3]]).toEqual([0, before[3]]);
    expect(used(ring, 2)).toEqual([3, AVAIL | USED | WRITE, 72]);
    stores++;
    return store(target, index, value);
  }) as typeof Atomics.store;
  try {
    queue.publish();
  } finally {
    Atomics.store = store;
  }
  expect(stores).toBe(1);
  expect(used(ring, 0)).toEqual([1, AVAIL | USED, 0]); // nothing written: no WRITE
  expect(ring.descriptors.slice(4, 8)).toEqual(Uint32Array.from(before.slice(4, 8)));
});

test("in order, one used descriptor stands for chains that take nothing, and those with room have their own", () => {
  const { queue, ring, elements, pool } = setup({ size: 6, inOrder: true });
  describe(ring, 0, 1000, 1, AVAIL | NEXT);
  describe(ring, 1, 1000, 1, AVAIL, 10);
  describe(ring, 2, 1000, 1, AVAIL, 11);
  describe(ring, 3, 1000, 9, AVAIL | WRITE, 12);
  describe(ring, 4, 1000, 9, AVAIL | WRITE, 13);
  describe(ring, 5, 1000, 9, AVAIL, 14);
  while (queue.pop(elements, pool) >= 0);
  for (const [id, bytes] of [
    [10, 0],
    [11, 0],
    [12, 9],
    [13, 4],
    [14, 0],
  ]) {
    queue.push(id, bytes);
  }
  queue.publish();
  expect(used(ring, 0)).toEqual([12, AVAIL | USED | WRITE, 9]);
  expect(used(ring, 2)[1]).toBe(AVAIL);
  expect(used(ring, 3)[1]).toBe(AVAIL | WRITE);
  expect(used(ring, 4)).toEqual([13, AVAIL | USED | WRITE, 4]);
  expect(used(ring, 5)).toEqual([14, AVAIL | USED, 0]);
  expect(queue.nextAvailable).toBe(0);
});

test("in order, a batch ends with the publishing", () => {
  const { queue, ring, elements, pool } = setup({ inOrder: true });
  for (let i = 0; i < 2; i++) describe(ring, i, 1000, 1, AVAIL, i);
  for (let i = 0; i < 2; i++) {
    queue.pop(elements, pool);
    queue.push(i, 0);
    queue.publish();
  }
  expect([used(ring, 0), used(ring, 1)]).toEqual([
    [0, AVAIL | USED, 0],
    [1, AVAIL | USED, 0],
  ]);
});

for (const windowBytesMax of [2 ** 20, 7]) {
  test(`an indirect table is read to its end wherever it lies, in windows of ${windowBytesMax} bytes`, () => {
    const { queue, ring, bytes, elements, pool, dataAddress } = setup({ windowBytesMax }, 40);
    const table = dataAddress + 101; // aligned to nothing
    // Its flags but WRITE, and its ids, mean nothing.
    const flags = [NEXT | AVAIL, USED, WRITE].map((each) => (each << 16) | 0xbeef);
    const words = new Uint32Array([500, 0, 20, flags[0], 540, 0, 10, flags[1], 600, 0, 30, flags[2]]);
    bytes.set(new Uint8Array(words.buffer), table);
    describe(ring, 0, table, 48, AVAIL | INDIRECT | WRITE, 2); // its write flag means nothing
    expect(queue.pop(elements, pool)).toBe(0);
    expect([elements.head[0], elements.outBytes[0], elements.inBytes[0]]).toEqual([2, 30, 30]);
    const addresses = entries(pool).flatMap(([window, offset, length]) =>
      Array.from({ length }, (_, i) => window * windowBytesMax + offset + i),
    );
    const run = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);
    expect(addresses).toEqual([...run(500, 20), ...run(540, 10), ...run(600, 30)]);
    expect(queue.nextAvailable).toBe(0x8000_8001);
  });
}

test("each word of a descriptor is read once: what was checked is what is used", () => {
  const { ring, memory, windows, bytes, elements, dataAddress } = setup();
  const reads = new Map<string, number>();
  const count = (key: string) => reads.set(key, (reads.get(key) ?? 0) + 1);
  const words = new Uint32Array([1000, 0, 20, 0, 1100, 0, 30, 0]);
  bytes.set(new Uint8Array(words.buffer), dataAddress);
  describe(ring, 0, 900, 5, AVAIL | NEXT);
  describe(ring, 1, dataAddress, 32, AVAIL | INDIRECT);
  const pool = new IovPool(windows, 8);
  const view = windows.views[0];
  windows.views[0] = {
    getUint32(at: number) {
      count(`table byte ${at - dataAddress}`);
      return view.getUint32(at, true);
    },
  } as unknown as DataView;
  // The first word is loaded by Atomics, which take a real array only.
  const descriptors = new Proxy(ring.descriptors, {
    get(target, key) {
      count(`ring word ${String(key)}`);
      return target[Number(key)];
    },
  });
  const load = Atomics.load;
  Atomics.load = ((target: Uint32Array, index: number) => {
    if (target !== descriptors) return load(target, index);
    count(`ring word ${index}`);
    return load(ring.descriptors, index);
  }) as typeof Atomics.load;
  try {
    const options = { memory, eventIndex: false, indirect: true, startIndex: 0x8000 };
    const queue = new PackedDeviceQueue({ ...options, ring: { ...ring, descriptors } });
    expect(queue.pop(elements, pool)).toBe(0);
  } finally {
    Atomics.load = load;
  }
  expect([elements.outBytes[0], elements.outCount[0]]).toEqual([55, 3]);
  expect([...reads.values()]).toEqual(new Array(16).fill(1));
});

test("kicks are suppressed and allowed by the device event suppression; what a predecessor left is overwritten", () => {
  const { queue, ring } = setup();
  ring.deviceEvent[0] = 1 << 16;
  expect(queue.allowKicks()).toBe(false);
  expect(ring.deviceEvent[0]).toBe(0x8000);
  queue.suppressKicks();
  expect(ring.deviceEvent[0]).toBe((1 << 16) | 0x8000);
  describe(ring, 0, 1000, 1, AVAIL);
  expect(queue.allowKicks()).toBe(true);
  expect(ring.deviceEvent[0]).toBe(0x8000);
});

test("with event indexes a kick is asked for at the next descriptor, or, with chains held, for any", () => {
  const { queue, ring, elements, pool } = setup({ eventIndex: true, size: 3 });
  expect(queue.allowKicks()).toBe(false);
  expect(ring.deviceEvent[0]).toBe((2 << 16) | 0x8000);
  queue.suppressKicks();
  expect(ring.deviceEvent[0]).toBe((1 << 16) | 0x8000);
  for (let i = 0; i < 3; i++) describe(ring, i, 1000, 1, AVAIL);
  for (let i = 0; i < 2; i++) queue.pop(elements, pool);
  expect(queue.allowKicks()).toBe(true);
  expect(ring.deviceEvent[0]).toBe(0x8000);
  queue.pop(elements, pool);
  for (let i = 0; i < 3; i++) queue.push(i, 0);
  queue.publish();
  expect(queue.allowKicks()).toBe(false);
  expect(ring.deviceEvent[0]).toBe(2 << 16);
});

test("whatever the driver was told of kicks, the offset of the event suppression is where the queue stands", () => {
  for (const eventIndex of [false, true]) {
    const { queue, ring, elements, pool } = setup({ eventIndex, size: 5 });
    for (let i = 0; i < 5; i++) describe(ring, i, 1000, 1, AVAIL);
    const publish = (): number => {
      queue.pop(elements, pool);
      queue.push(0, 0);
      queue.publish();
      return ring.deviceEvent[0] as number;
    };
    queue.suppressKicks();
    expect(publish()).toBe((1 << 16) | 0x8001);
    queue.pop(elements, pool);
    // Popped is not published.
    expect(ring.deviceEvent[0]).toBe((1 << 16) | 0x8001);
    queue.unpop(elements, 1);
    queue.allowKicks();
    expect(ring.deviceEvent[0]).toBe(((eventIndex ? 2 : 0) << 16) | 0x8001);
    // A wish for a descriptor that is behind by now would be one for none.
    expect(publish()).toBe(0x8002);
    for (let i = 0; i < 2; i++) publish();
    expect(publish()).toBe(0);
  }
});

test("the driver is notified by its event suppression, and only of news", () => {
  const { queue, ring, elements, pool } = setup({ eventIndex: true, size: 5 });
  for (let i = 0; i < 5; i++) describe(ring, i, 1000, 1, AVAIL);
  const publish = (): boolean => {
    queue.pop(elements, pool);
    queue.push(0, 0);
    queue.publish();
    return queue.needsNotification();
  };
  expect(queue.needsNotification()).toBe(false);
  expect(publish()).toBe(true);
  expect(queue.needsNotification()).toBe(false);
  ring.driverEvent[0] = 1 << 16;
  expect(publish()).toBe(false);
  ring.driverEvent[0] = (2 << 16) | 0x8003;
  expect([publish(), publish(), publish()]).toEqual([false, true, false]);
});

test("a start outside the ring is an error of the caller, and so is a push too many", () => {
  expect(() => setup({ size: 3, startIndex: 3 })).toThrow(RangeError);
  expect(() => setup({ size: 3, startIndex: 0x8003 })).toThrow(RangeError);
  const { queue } = setup({ size: 3, startIndex: 0x0002_8002 });
  expect(() => queue.push(0, 0)).toThrow(RangeError);
});
