import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import fc from "fast-check";
import { DescriptorFlag } from "./descriptor.ts";
import type { DeviceQueue } from "./device-queue.ts";
import { Elements } from "./elements.ts";
import { PackedDeviceQueue } from "./packed-device-queue.ts";
import { SplitDeviceQueue } from "./split-device-queue.ts";
import { type GuestPackedRing, type GuestRing, guestPackedRing, guestRing } from "./testing/guest-ring.ts";

// Rings full of nonsense that goes on changing: every word that the device reads may be another one than was written a
// moment ago. Whatever comes, each pop reads a bounded number of words and yields entries inside the guest's memory, or
// breaks the queue.

const SIZE = 8;
const DATA_BYTES = 512;
const { next: NEXT, write: WRITE, indirect: INDIRECT, available: AVAIL, used: USED } = DescriptorFlag;

/** Words a descriptor may consist of, more often likely ones than not; the last ones are drawn by their flags. */
const address = fc.oneof({ weight: 8, arbitrary: fc.nat(900) }, { weight: 1, arbitrary: fc.nat(0xffff_ffff) });
const high = fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xffff_ffff) });
const length = fc.oneof(
  { weight: 4, arbitrary: fc.nat(40) },
  { weight: 4, arbitrary: fc.nat(9).map((n) => n * 16) },
  { weight: 1, arbitrary: fc.nat(0xffff_ffff) },
);
const flags = fc
  .tuple(fc.boolean(), fc.boolean(), fc.nat(5), fc.nat(9), fc.boolean(), fc.boolean())
  .map(([next, write, indirect, stray, available, used]) => {
    const ownership = (available ? AVAIL : 0) | (used ? USED : 0);
    return (
      (next ? NEXT : 0) | (write ? WRITE : 0) | (indirect === 0 ? INDIRECT : 0) | ownership | (stray === 0 ? 8 : 0)
    );
  });
const descriptor = fc.tuple(address, high, length, flags, fc.oneof(fc.nat(SIZE), fc.nat(0xffff)));
const scenario = fc.record({
  descriptors: fc.array(descriptor, { minLength: SIZE, maxLength: SIZE }),
  table: fc.array(descriptor, { minLength: 8, maxLength: 8 }),
  heads: fc.array(fc.oneof({ weight: 9, arbitrary: fc.nat(SIZE - 1) }, fc.nat(0xffff)), {
    minLength: SIZE,
    maxLength: SIZE,
  }),
  index: fc.oneof({ weight: 9, arbitrary: fc.nat(SIZE) }, fc.nat(0xffff)),
  changes: fc.array(fc.tuple(fc.nat(60), descriptor), { maxLength: 30 }),
  poolCapacity: fc.constantFrom(1, 4, 64),
  indirect: fc.boolean(),
  windowBytesMax: fc.constantFrom(37, 2 ** 20),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;
type Descriptor = Scenario["descriptors"][number];

/** A descriptor's words, with its flags where the format has them. */
function wordsOf([low, addressHigh, lengthBytes, bits, other]: Descriptor, packed: boolean): number[] {
  const last = packed ? ((bits << 16) | other) >>> 0 : ((other << 16) | bits) >>> 0;
  return [low, addressHigh, lengthBytes, last];
}

/** Lets the guest write between two reads of the device: counts reads, and changes the descriptor before some. */
function unsteady(
  guest: GuestRing | GuestPackedRing,
  run: Scenario,
  packed: boolean,
  reads: { count: number },
): Uint32Array {
  const changes = new Map(run.changes);
  const touch = (target: Uint32Array, index: number): void => {
    const change = changes.get(reads.count++);
    if (change === undefined) return;
    target.set(wordsOf(change, packed), index & ~3);
  };
  const real = guest.ring.descriptors;
  return new Proxy(real, {
    get(target, key) {
      const index = Number(key);
      if (Number.isNaN(index)) return Reflect.get(target, key);
      touch(target, index);
      return target[index];
    },
    set(target, key, value) {
      target[Number(key)] = value;
      return true;
    },
  });
}

/** Runs `work` with Atomics that reach through the proxy, which they would refuse. */
function through(proxy: Uint32Array, real: Uint32Array, work: () => void): void {
  const { load, store } = Atomics;
  Atomics.load = ((target: Uint32Array, index: number) =>
    target === proxy ? proxy[index] : load(target, index)) as typeof Atomics.load;
  Atomics.store = ((target: Uint32Array, index: number, value: number) =>
    store(target === proxy ? real : target, index, value)) as typeof Atomics.store;
  try {
    work();
  } finally {
    Atomics.load = load;
    Atomics.store = store;
  }
}

/** Uses the queue until nothing more comes out of it; each pop within its bounds. */
function exhaust(
  queue: DeviceQueue,
  guest: GuestRing | GuestPackedRing,
  run: Scenario,
  reads: { count: number },
): void {
  const pool = new IovPool(guest.windows, run.poolCapacity);
  const elements = new Elements(SIZE);
  for (let round = 0; round < 4; round++) {
    pool.truncate(0);
    elements.clear();
    for (;;) {
      reads.count = 0;
      const result = queue.pop(elements, pool);
      expect(reads.count).toBeLessThanOrEqual(4 * SIZE);
      if (result < 0) break;
    }
    for (let i = 0; i < pool.count; i++) {
      expect(pool.length[i]).toBeGreaterThanOrEqual(0);
      expect(pool.offset[i]).toBeGreaterThanOrEqual(0);
      expect(pool.offset[i] + pool.length[i]).toBeLessThanOrEqual(guest.windows.bytes[pool.window[i]].length);
    }
    expect(elements.count).toBeLessThanOrEqual(SIZE);
    expect(queue.heldDescriptors > 0).toBe(elements.count > 0);
    if (round === 1 && elements.count > 0) queue.unpop(elements, 1);
    for (let i = 0; i < elements.count; i++) queue.push(elements.head[i], elements.inBytes[i]);
    queue.publish();
    queue.needsNotification();
    queue.allowKicks();
    queue.suppressKicks();
  }
}

test("split: a ring that changes while it is read costs its own queue at most", () => {
  let broken = 0;
  fc.assert(
    fc.property(scenario, fc.boolean(), (run, eventIndex) => {
      const { windowBytesMax } = run;
      const guest = guestRing({ size: SIZE, dataBytes: DATA_BYTES, windowBytesMax });
      const { ring, memory, bytes, dataAddress } = guest;
      ring.descriptors.set(run.descriptors.flatMap((each) => wordsOf(each, false)));
      bytes.set(
        new Uint8Array(Uint32Array.from(run.table.flatMap((each) => wordsOf(each, false))).buffer),
        dataAddress,
      );
      ring.available.set(run.heads, 2);
      ring.available[1] = run.index;
      const reads = { count: 0 };
      const descriptors = unsteady(guest, run, false, reads);
      const queue = new SplitDeviceQueue({
        ring: { ...ring, descriptors },
        memory,
        eventIndex,
        indirect: run.indirect,
        startIndex: 0,
      });
      exhaust(queue, guest, run, reads);
      if (queue.brokenReason !== 0) broken++;
    }),
    { numRuns: 2000 },
  );
  expect(broken).toBeGreaterThan(100);
});

test("packed: a ring that changes while it is read costs its own queue at most", () => {
  let broken = 0;
  fc.assert(
    fc.property(scenario, fc.boolean(), fc.boolean(), (run, eventIndex, inOrder) => {
      const { windowBytesMax } = run;
      const guest = guestPackedRing({ size: SIZE, dataBytes: DATA_BYTES, windowBytesMax });
      const { ring, memory, bytes, dataAddress } = guest;
      ring.descriptors.set(run.descriptors.flatMap((each) => wordsOf(each, true)));
      bytes.set(new Uint8Array(Uint32Array.from(run.table.flatMap((each) => wordsOf(each, true))).buffer), dataAddress);
      ring.driverEvent[0] = run.index * 0x1_0001;
      const reads = { count: 0 };
      const descriptors = unsteady(guest, run, true, reads);
      const queue = new PackedDeviceQueue({
        ring: { ...ring, descriptors },
        memory,
        eventIndex,
        inOrder,
        indirect: run.indirect,
        startIndex: 0x8000 | (run.heads[0] % SIZE),
      });
      through(descriptors, ring.descriptors, () => exhaust(queue, guest, run, reads));
      if (queue.brokenReason !== 0) broken++;
    }),
    { numRuns: 2000 },
  );
  expect(broken).toBeGreaterThan(100);
});
