import { describe, expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "./descriptor-chain.ts";
import { type DeviceQueue, PopResult } from "./device-queue.ts";
import type { DriverQueue } from "./driver-queue.ts";
import { Elements } from "./elements.ts";
import { packedFormat, splitFormat } from "./ring-format.ts";
import { guestParts } from "./testing/guest-ring.ts";
import { describeKind, makeQueues, QUEUE_KINDS, type QueueKind, tablesIn } from "./testing/queues.ts";

// What holds for every kind of queue, told through both interfaces alone: a user of a queue never knows which it is.

interface Rig {
  readonly size: number;
  readonly driver: DriverQueue;
  readonly device: DeviceQueue;
  readonly pool: IovPool;
  readonly elements: Elements;
  readonly dataAddress: number;
  readonly add: (chain: DescriptorChain) => number;
}

interface RigOptions {
  readonly size?: number;
  readonly tableSize?: number;
  readonly poolCapacity?: number;
}

function makeRig(kind: QueueKind, indirect: boolean, options: RigOptions = {}): Rig {
  const { size = 8, tableSize = 8, poolCapacity = 64 } = options;
  const tableBytes = indirect ? size * tableSize * 16 : 0;
  const guest = guestParts(kind.format, { size, dataBytes: tableBytes + 4096 });
  const { driver, device } = makeQueues(guest, kind, indirect ? tablesIn(guest, tableSize) : null);
  return {
    size,
    driver,
    device,
    pool: new IovPool(guest.windows, poolCapacity),
    elements: new Elements(size),
    dataAddress: guest.dataAddress + tableBytes,
    add: (chain) => (indirect ? driver.addIndirect(chain) : driver.add(chain)),
  };
}

function reapAll(driver: DriverQueue): number[][] {
  const reaped: number[][] = [];
  for (let head = driver.reap(); head >= 0; head = driver.reap()) reaped.push([head, driver.reapedBytes]);
  return reaped;
}

for (const kind of QUEUE_KINDS) {
  for (const indirect of [false, true]) {
    describe(`${describeKind(kind)}, ${indirect ? "indirect" : "direct"}`, () => {
      test("a chain becomes entries in order, and comes back with what was written", () => {
        const { driver, device, pool, elements, dataAddress: at, add } = makeRig(kind, indirect);
        const head = add(
          new DescriptorChain(3)
            .readable(at, 12)
            .readable(at + 50, 100)
            .writable(at + 200, 30),
        );
        driver.publish();
        expect(device.pending()).toBe(1);
        expect(device.pop(elements, pool)).toBe(0);
        expect([...pool.offset.subarray(0, pool.count)]).toEqual([at, at + 50, at + 200]);
        expect([...pool.length.subarray(0, pool.count)]).toEqual([12, 100, 30]);
        expect([elements.head[0], elements.outCount[0], elements.inCount[0]]).toEqual([head, 2, 1]);
        expect([elements.outBytes[0], elements.inBytes[0]]).toEqual([112, 30]);
        expect(device.heldDescriptors).toBe(indirect ? 1 : 3);
        expect(driver.reap()).toBe(PopResult.empty);
        device.push(head, 17);
        expect(driver.reap()).toBe(PopResult.empty);
        device.publish();
        expect(device.heldDescriptors).toBe(0);
        expect(reapAll(driver)).toEqual([[head, 17]]);
      });

      test("nothing is available before it is published, and then all at once", () => {
        const { driver, device, pool, elements, dataAddress, add } = makeRig(kind, indirect);
        const chain = new DescriptorChain(2).readable(dataAddress, 1).readable(dataAddress, 2);
        for (let i = 0; i < 3; i++) add(chain);
        expect([device.pending(), device.pop(elements, pool)]).toEqual([0, PopResult.empty]);
        driver.publish();
        while (device.pop(elements, pool) >= 0);
        expect(elements.count).toBe(3);
      });

      test("a chain as long as the queue is a chain", () => {
        const { size, driver, device, pool, elements, dataAddress, add } = makeRig(kind, indirect);
        const chain = new DescriptorChain(size);
        for (let i = 0; i < size; i++) chain.readable(dataAddress + i, 1);
        for (let lap = 0; lap < 5; lap++) {
          expect(add(chain)).toBeGreaterThanOrEqual(0);
          driver.publish();
          pool.truncate(0);
          elements.clear();
          expect(device.pop(elements, pool)).toBe(0);
          expect(elements.outCount[0]).toBe(size);
          device.push(elements.head[0], 0);
          device.publish();
          expect(reapAll(driver).length).toBe(1);
        }
      });

      test("chains of all lengths go round the ring many times", () => {
        const { size, driver, device, pool, elements, dataAddress, add } = makeRig(kind, indirect);
        const chain = new DescriptorChain(size);
        let made = 0;
        let returned = 0;
        const expected: number[][] = [];
        while (returned < 20_000) {
          for (let added = 0; added < 3; added++) {
            chain.clear();
            const readable = (made * 7) % 3;
            const writable = made % 2;
            for (let i = 0; i < readable; i++) chain.readable(dataAddress, 5);
            for (let i = 0; i < writable || chain.count === 0; i++) chain.writable(dataAddress, 50);
            const head = add(chain);
            if (head < 0) break;
            const writableBytes = 50 * (chain.count - readable);
            expected.push([head, writableBytes === 0 ? 0 : made % 50]);
            made++;
          }
          driver.publish();
          pool.truncate(0);
          elements.clear();
          while (device.pop(elements, pool) >= 0);
          for (let i = 0; i < elements.count; i++) {
            device.push(elements.head[i], elements.inBytes[i] === 0 ? 0 : (returned + i) % 50);
          }
          device.publish();
          const reaped = reapAll(driver);
          expect(reaped).toEqual(expected.splice(0, elements.count));
          returned += reaped.length;
        }
        expect([driver.freeCount, driver.brokenReason, device.brokenReason]).toEqual([size, 0, 0]);
      });

      test("a chain that does not fit what is left stays available; taking back is exact", () => {
        const { driver, device, pool, elements, dataAddress, add } = makeRig(kind, indirect, { poolCapacity: 5 });
        const chain = new DescriptorChain(2).readable(dataAddress, 1).readable(dataAddress + 9, 2);
        const heads = [add(chain), add(chain), add(chain)];
        driver.publish();
        const base = device.nextAvailable;
        expect([0, 1, 2].map(() => device.pop(elements, pool))).toEqual([0, 1, PopResult.poolFull]);
        expect([pool.count, elements.count, device.brokenReason]).toEqual([4, 2, 0]);
        device.unpop(elements, 2);
        expect([pool.count, elements.count, device.heldDescriptors, device.nextAvailable]).toEqual([0, 0, 0, base]);
        expect([0, 1].map(() => device.pop(elements, pool))).toEqual([0, 1]);
        expect([...elements.head.subarray(0, 2)]).toEqual(heads.slice(0, 2));
        device.push(heads[0], 0);
        expect(() => device.unpop(elements, 2)).toThrow(RangeError);
        device.unpop(elements, 1);
        device.publish();
        pool.truncate(0);
        elements.clear();
        expect([0, 1].map(() => device.pop(elements, pool))).toEqual([0, 1]);
        expect([...elements.head.subarray(0, 2)]).toEqual(heads.slice(1));
      });

      test("the next queue goes on where this one stopped", () => {
        const { format } = kind;
        const size = format === packedFormat ? 7 : 8;
        const guest = guestParts(format, { size, dataBytes: 4096 + size * 8 * 16 });
        const { driver, device } = makeQueues(guest, kind, indirect ? tablesIn(guest, 8) : null);
        let queue = device;
        const elements = new Elements(size);
        const pool = new IovPool(guest.windows, 64);
        const chain = new DescriptorChain(3).writable(guest.dataAddress, 1).writable(guest.dataAddress, 1);
        for (let i = 0; i < 40; i++) {
          const heads = [0, 1].map(() => (indirect ? driver.addIndirect(chain) : driver.add(chain)));
          driver.publish();
          while (queue.pop(elements, pool) >= 0);
          queue.unpop(elements, 1);
          queue.push(heads[0], 1);
          queue.publish();
          const startIndex = queue.nextAvailable;
          expect(format.isBase(startIndex, size)).toBe(true);
          const { memory, parts } = guest;
          queue = format.deviceQueue(size, parts, { memory, ...kind, indirect, startIndex });
          elements.clear();
          pool.truncate(0);
          expect(queue.pop(elements, pool)).toBe(0);
          expect(elements.head[0]).toBe(heads[1]);
          queue.push(heads[1], 2);
          queue.publish();
          expect(reapAll(driver)).toEqual([
            [heads[0], 1],
            [heads[1], 2],
          ]);
          elements.clear();
          pool.truncate(0);
        }
      });
    });
  }

  const outcome = kind.eventIndex ? "is unheard until the driver says where it waits next" : "never counts as unheard";
  test(`${describeKind(kind)}: a notification ${outcome}`, () => {
    const { driver, device, pool, elements, dataAddress } = makeRig(kind, false);
    const carry = (): boolean => {
      driver.add(new DescriptorChain(1).writable(dataAddress, 9));
      driver.publish();
      device.push(elements.head[device.pop(elements, pool)], 9);
      device.publish();
      return device.needsNotification();
    };
    driver.allowNotifications();
    expect(device.isNotificationUnheard()).toBe(false);
    for (let i = 0; i < 3; i++) {
      expect(carry()).toBe(true);
      expect(device.isNotificationUnheard()).toBe(kind.eventIndex);
      expect(reapAll(driver).length).toBe(1);
      driver.allowNotifications();
      expect(device.isNotificationUnheard()).toBe(false);
    }
  });

  if (kind.eventIndex && kind.format === packedFormat) {
    test(`${describeKind(kind)}: a driver that waits for any descriptor cannot say that it heard`, () => {
      const { driver, device, pool, elements, dataAddress } = makeRig(kind, false);
      driver.add(new DescriptorChain(1).writable(dataAddress, 9));
      driver.publish();
      device.push(elements.head[device.pop(elements, pool)], 9);
      device.publish();
      expect([device.needsNotification(), device.isNotificationUnheard()]).toEqual([true, false]);
    });
  }

  if (kind.eventIndex && kind.format === splitFormat) {
    test(`${describeKind(kind)}: a notification counts as heard when the driver has given buffers since`, () => {
      const { driver, device, pool, elements, dataAddress } = makeRig(kind, false);
      const add = (): void => {
        driver.add(new DescriptorChain(1).writable(dataAddress, 9));
        driver.publish();
      };
      add();
      device.push(elements.head[device.pop(elements, pool)], 9);
      device.publish();
      expect([device.needsNotification(), device.isNotificationUnheard()]).toEqual([true, true]);
      add();
      expect(device.isNotificationUnheard()).toBe(false);
    });
  }

  for (const size of kind.format === packedFormat ? [1, 2, 3, 1000, 32767, 32768] : [1, 2, 1024, 32768]) {
    test(`${describeKind(kind)}: a ring of ${size} is filled and emptied, three times`, () => {
      const { driver, device, pool, elements, dataAddress } = makeRig(kind, false, { size, poolCapacity: size });
      const chain = new DescriptorChain(1).writable(dataAddress, 9);
      for (let lap = 0; lap < 3; lap++) {
        const heads: number[] = [];
        for (let head = driver.add(chain); head >= 0; head = driver.add(chain)) heads.push(head);
        expect(heads.length).toBe(size);
        driver.publish();
        pool.truncate(0);
        elements.clear();
        while (device.pop(elements, pool) >= 0);
        expect([elements.count, device.heldDescriptors, device.pending()]).toEqual([size, size, 0]);
        for (let i = 0; i < size; i++) device.push(elements.head[i], 9);
        device.publish();
        expect(reapAll(driver).map(([head]) => head)).toEqual(heads);
        expect([device.brokenReason, driver.brokenReason, driver.freeCount]).toEqual([0, 0, size]);
      }
    });
  }
}

test("every combination of format, event index and order is a kind of its own", () => {
  expect(new Set(QUEUE_KINDS.map(describeKind)).size).toBe(8);
});
