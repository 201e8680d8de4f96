import { describe, expect, test } from "bun:test";
import { Capability } from "@passt-ts/net-backend/backend";
import { Refused } from "@passt-ts/net-backend/rx-sink";
import { faultsOf, frameOf, ReceiveRig } from "./testing/receive-rig.ts";

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const LAYOUTS: readonly (readonly number[])[] = [
  [12, 1514],
  [26, 1514],
  [5, 21, 40, 1500],
  [66, 600],
  [100, 100, 100, 100],
  [128],
  [1526],
  [4096],
  [7],
  [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1000],
  [65562],
];

describe("flush with mergeable buffers: num_buffers, used lengths, padding and header are right", () => {
  for (const layout of LAYOUTS) {
    test(`[${layout}] x n`, () => {
      for (const edgeBytes of [Number.POSITIVE_INFINITY, 100]) {
        const chains = Math.min(Math.floor(256 / layout.length), Math.floor(1_000_000 / sum(layout)));
        const rig = new ReceiveRig({ size: 256, layout, chains, edgeBytes });
        const capacity = sum(layout) * chains;
        for (const length of [0, 3, 42, 59, 60, 61, 1000, 1514, 3000, 14000]) {
          if (Math.max(length, 60) + 12 > capacity) continue;
          const sent = frameOf(length);
          rig.send(sent);
          const frame = rig.receive();
          expect(faultsOf(frame, sent, true)).toEqual([]);
          expect(frame.usedBytes.length).toBe(Math.ceil((Math.max(length, 60) + 12) / sum(layout)));
          for (const _ of frame.usedBytes) rig.driver.post(layout);
        }
      }
    });
  }
});

describe("flush without mergeable buffers: one chain of several descriptors holds the frame", () => {
  for (const layout of [[12, 1514], [10, 1514], [26, 1514], [5, 21, 40, 1500], [1, 1600], [600, 600, 600], [1526]]) {
    for (const headerLength of [10, 12] as const) {
      test(`[${layout}], header of ${headerLength}`, () => {
        const rig = new ReceiveRig({ layout, headerLength, mergeable: false, size: 64 });
        for (const length of [3, 59, 60, 1000, 1512]) {
          const sent = frameOf(length);
          rig.send(sent);
          const frame = rig.receive();
          expect(faultsOf(frame, sent, false)).toEqual([]);
          expect(frame.usedBytes.length).toBe(1);
        }
      });
    }
  }
});

test("num_buffers is 1 in a header of 12 bytes without mergeable buffers", () => {
  const rig = new ReceiveRig({ layout: [12, 1514], mergeable: false });
  rig.send(frameOf(100));
  expect([...rig.receive().header.slice(10)]).toEqual([1, 0]);
});

test("a header of 10 bytes has no num_buffers: the frame begins at once", () => {
  const rig = new ReceiveRig({ layout: [1524], mergeable: false, headerLength: 10 });
  rig.send(frameOf(100, 0xee));
  const frame = rig.receive();
  expect(frame.header.length).toBe(10);
  expect(frame.bytes).toEqual(frameOf(100, 0xee));
});

test("collect: a 2-descriptor element gives 2 entries with 1 element", () => {
  const rig = new ReceiveRig({ layout: [12, 1514] });
  expect(rig.rx.reserve(1000)).toBe(0);
  expect(rig.rx.frames.entryCount[0]).toBe(2);
  expect(rig.queue.nextAvailable).toBe(1);
});

test("collect: never less than 60 + header bytes, one pool for all elements, at a running offset", () => {
  const rig = new ReceiveRig({ layout: [36, 36] });
  expect([rig.rx.reserve(1), rig.rx.reserve(61), rig.rx.reserve(0)]).toEqual([0, 1, 2]);
  expect(rig.queue.nextAvailable).toBe(1 + 2 + 1);
  expect([...rig.rx.frames.firstEntry.subarray(0, 3)]).toEqual([0, 2, 6]);
  expect([...rig.rx.frames.entryCount.subarray(0, 3)]).toEqual([2, 4, 2]);
  expect([...rig.rx.frames.offset.subarray(0, 3)]).toEqual([12, 12, 12]);
  expect(rig.rx.frames.pool.count).toBe(8);
});

test("collect: a ring without buffers gives no room and stays as it was", () => {
  const rig = new ReceiveRig({ chains: 0 });
  expect(rig.rx.reserve(60)).toBe(Refused.noRoom);
  expect(rig.rx.frames.pool.count).toBe(0);
  expect(rig.queue.nextAvailable).toBe(0);
  expect(rig.counter("rxNoRoom")).toBe(1);
});

test("collect: too few buffers are all un-popped, the next frame gets them", () => {
  const rig = new ReceiveRig({ layout: [500], chains: 3 });
  expect(rig.rx.reserve(1500)).toBe(Refused.noRoom);
  expect(rig.queue.nextAvailable).toBe(0);
  expect(rig.rx.frames.pool.count).toBe(0);
  rig.send(frameOf(1488));
  expect(faultsOf(rig.receive(), frameOf(1488), true)).toEqual([]);
});

test("a frame that does not fit a non-mergeable buffer is refused, never truncated, and the buffer stays", () => {
  const rig = new ReceiveRig({ layout: [12, 1514], mergeable: false });
  expect(rig.rx.reserve(1515)).toBe(Refused.tooLong);
  expect(rig.counter("rxTooLong")).toBe(1);
  expect(rig.queue.nextAvailable).toBe(0);
  rig.send(frameOf(1514));
  expect(faultsOf(rig.receive(), frameOf(1514), false)).toEqual([]);
});

test("a frame longer than the whole ring is too long, not waited for", () => {
  const rig = new ReceiveRig({ size: 16, layout: [128] });
  expect(rig.rx.reserve(16 * 128 - 12 + 1)).toBe(Refused.tooLong);
  expect(rig.rx.reserve(16 * 128 - 12)).toBe(0);
  rig.rx.giveBack(0);
  expect(rig.queue.nextAvailable).toBe(0);
});

test("undo of the tail is one call, and it is exact", () => {
  const rig = new ReceiveRig({ layout: [100, 100] });
  rig.rx.reserve(300);
  rig.rx.reserve(1000);
  rig.rx.reserve(60);
  const { frames } = rig.rx;
  rig.rx.giveBack(1);
  expect(frames.count).toBe(1);
  expect(frames.pool.count).toBe(4);
  expect(rig.queue.nextAvailable).toBe(2);
  expect(rig.rx.reserve(100)).toBe(1);
  expect(frames.firstEntry[1]).toBe(4);
  rig.rx.giveBack(0);
  expect([frames.count, frames.pool.count, rig.queue.nextAvailable]).toEqual([0, 0, 0]);
  expect(rig.rx.publish()).toBe(false);
  expect(rig.driver.ring.used[1]).toBe(0);
});

test("30 frames of 65 KiB at once, each over 17 buffers and more", () => {
  const rig = new ReceiveRig({ size: 1024, layout: [4000] });
  const lengths = Array.from({ length: 30 }, (_, i) => 65550 - i * 7);
  for (const [i, length] of lengths.entries()) {
    expect(rig.rx.reserve(length)).toBe(i);
    rig.fill(i, frameOf(length, i));
  }
  for (const [i, length] of lengths.entries()) rig.rx.commit(i, length);
  expect(rig.driver.ring.used[1]).toBe(0);
  rig.rx.publish();
  expect(rig.driver.ring.used[1]).toBe(30 * 17);
  for (const [i, length] of lengths.entries()) expect(faultsOf(rig.receive(), frameOf(length, i), true)).toEqual([]);
  expect(rig.driver.receive()).toBeNull();
  expect(rig.rx.frames.pool.count).toBe(0);
});

test("after a short read the last frame gets its own length, and its surplus buffers are undone before the flush", () => {
  const rig = new ReceiveRig({ layout: [100] });
  for (let i = 0; i < 3; i++) rig.fill(rig.rx.reserve(1000), frameOf(700, i));
  rig.rx.giveBack(2);
  rig.fill(0, frameOf(1000, 0));
  rig.fill(1, frameOf(333, 1));
  rig.rx.commit(0, 1000);
  rig.rx.commit(1, 333);
  rig.rx.publish();
  expect(rig.queue.nextAvailable).toBe(11 + 4);
  expect(rig.driver.ring.used[1]).toBe(11 + 4);
  const first = rig.receive();
  const second = rig.receive();
  expect(first.bytes).toEqual(frameOf(1000, 0));
  expect(second.bytes).toEqual(frameOf(333, 1));
  expect(sum(first.usedBytes) + sum(second.usedBytes)).toBe(1012 + 345);
  expect(second.usedBytes).toEqual([100, 100, 100, 45]);
});

test("a frame shortened below 60 bytes keeps the buffers of its padding", () => {
  const rig = new ReceiveRig({ layout: [30] });
  rig.send(frameOf(1), 1000);
  const frame = rig.receive();
  expect(faultsOf(frame, frameOf(1), true)).toEqual([]);
  expect(frame.usedBytes).toEqual([30, 30, 12]);
});

test("pad zero-fills up to 60 bytes across entries and nothing behind them", () => {
  for (const layout of [[12, 20, 20, 20, 20], [13, 1, 1, 1, 500], [72], [73], [1526]]) {
    const rig = new ReceiveRig({ layout });
    rig.send(frameOf(14));
    expect(faultsOf(rig.receive(), frameOf(14), true)).toEqual([]);
  }
});

test("flush leaks none: used idx advances by all buffers, at any index", () => {
  for (const startIndex of [0, 65530, 32767]) {
    const rig = new ReceiveRig({ size: 16, layout: [40], startIndex });
    let used = startIndex;
    for (let i = 0; i < 50; i++) {
      const sent = frameOf(60 + ((i * 37) % 400), i);
      rig.send(sent);
      used += Math.ceil((sent.length + 12) / 40);
      expect(rig.driver.ring.used[1]).toBe(used & 0xffff);
      expect(rig.queue.nextAvailable).toBe(used & 0xffff);
      const frame = rig.receive();
      expect(faultsOf(frame, sent, true)).toEqual([]);
      for (const _ of frame.usedBytes) rig.driver.post([40]);
    }
  }
});

test("flush does not notify: publish stores used.idx once, then one question for the batch", () => {
  for (const eventIndex of [false, true]) {
    const rig = new ReceiveRig({ eventIndex });
    for (let i = 0; i < 10; i++) rig.rx.reserve(100);
    for (let i = 0; i < 10; i++) {
      rig.rx.commit(i, 100);
      expect(rig.driver.ring.used[1]).toBe(0);
      expect(rig.rx.needsNotification()).toBe(false);
    }
    expect(rig.rx.publish()).toBe(true);
    expect(rig.driver.ring.used[1]).toBe(10);
    expect(rig.rx.needsNotification()).toBe(true);
    expect(rig.rx.needsNotification()).toBe(false);
    expect(rig.rx.publish()).toBe(false);
  }
});

test("frames are urgent, until the driver is asked, but for those that can wait", () => {
  const rig = new ReceiveRig();
  const send = (canWait: number): boolean => {
    const index = rig.rx.reserve(60);
    rig.rx.frames.canWait[index] = canWait;
    rig.rx.commit(index, 60);
    return rig.rx.isUrgent;
  };
  expect([rig.rx.isUrgent, send(1), send(0), send(1)]).toEqual([false, false, true, true]);
  rig.rx.publish();
  rig.rx.needsNotification();
  expect(rig.rx.isUrgent).toBe(false);
  // What one frame said is forgotten with it.
  rig.rx.commit(rig.rx.reserve(60), 60);
  expect(rig.rx.isUrgent).toBe(true);
});

test("a frame that finds no room makes those urgent that have it", () => {
  const rig = new ReceiveRig();
  for (let index = rig.rx.reserve(60); index >= 0; index = rig.rx.reserve(60)) {
    rig.rx.frames.canWait[index] = 1;
    expect(rig.rx.isUrgent).toBe(false);
    rig.rx.commit(index, 60);
  }
  expect(rig.rx.isUrgent).toBe(true);
});

test("a driver that wants no notifications gets none", () => {
  const rig = new ReceiveRig();
  rig.driver.queue.suppressNotifications();
  rig.send(frameOf(100));
  expect(rig.rx.needsNotification()).toBe(false);
});

describe("the header tells the truth", () => {
  test("without capabilities the sink offers no offload and the header is zero", () => {
    const { rx } = new ReceiveRig();
    expect([rx.partialChecksum, rx.segmentationBytesMax4, rx.segmentationBytesMax6]).toEqual([false, 0, 0]);
  });

  test("joined datagrams are for drivers that take them apart, of either family", () => {
    const limits = (capabilities: number): number[] => {
      const { rx } = new ReceiveRig({ capabilities });
      return [rx.udpSegmentationBytesMax4, rx.udpSegmentationBytesMax6];
    };
    const { givesPartialChecksum, givesTso4, givesTso6, givesUso } = Capability;
    expect(limits(givesPartialChecksum | givesUso)).toEqual([65550, 65550]);
    expect(limits(givesPartialChecksum | givesTso4 | givesTso6)).toEqual([0, 0]);
  });

  for (const layout of [[1526], [12, 1514], [1, 2, 3, 4, 5, 1500], [3]]) {
    test(`the offload columns become the header, little-endian, over [${layout}]`, () => {
      const capabilities = Capability.givesPartialChecksum | Capability.givesTso6;
      const rig = new ReceiveRig({ layout, capabilities });
      const { rx } = rig;
      expect([rx.partialChecksum, rx.segmentationBytesMax4, rx.segmentationBytesMax6]).toEqual([true, 0, 65550]);
      const { frames } = rx;
      rx.reserve(100);
      rig.fill(0, frameOf(100));
      frames.flags[0] = 1;
      frames.gsoType[0] = 4;
      frames.headerLength[0] = 0x0102;
      frames.gsoSize[0] = 0x0304;
      frames.checksumStart[0] = 0x0506;
      frames.checksumOffset[0] = 0x0708;
      rx.commit(0, 100);
      rx.publish();
      const frame = rig.receive();
      const buffers = frame.usedBytes.length;
      expect([...frame.header]).toEqual([1, 4, 2, 1, 4, 3, 6, 5, 8, 7, buffers & 0xff, buffers >> 8]);
      expect(frame.bytes).toEqual(frameOf(100));
      rx.reserve(60);
      expect([frames.flags[0], frames.gsoType[0], frames.gsoSize[0], frames.checksumStart[0]]).toEqual([0, 0, 0, 0]);
    });
  }
});
