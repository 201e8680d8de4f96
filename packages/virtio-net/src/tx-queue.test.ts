import { describe, expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import { WindowTable } from "@passt-ts/iov/windows";
import { Capability } from "@passt-ts/net-backend/backend";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { RingFault } from "@passt-ts/virtio-ring/ring-fault";
import { SplitDeviceQueue } from "@passt-ts/virtio-ring/split-device-queue";
import { NetCounter } from "./net-counter.ts";
import { flatMemory } from "./testing/flat-memory.ts";
import { NetDriver } from "./testing/net-driver.ts";
import { TxQueue } from "./tx-queue.ts";

const CHECKSUM = Capability.takesPartialChecksum;

interface Options {
  readonly size?: number;
  readonly headerLength?: 10 | 12;
  readonly capabilities?: number;
  readonly frames?: number;
  readonly entries?: number;
  readonly batch?: number;
  readonly edgeBytes?: number;
  readonly eventIndex?: boolean;
}

class Device {
  readonly windows = new WindowTable();
  readonly driver: NetDriver;
  readonly queue: SplitDeviceQueue;
  readonly tx: TxQueue;
  readonly frames: FrameBatch;
  readonly headerLength: 10 | 12;

  constructor(options: Options = {}) {
    const size = options.size ?? 256;
    const eventIndex = options.eventIndex ?? false;
    const memory = new Uint8Array(1 << 20);
    const window = this.windows.add(memory);
    this.headerLength = options.headerLength ?? 12;
    this.driver = new NetDriver({ memory, size, eventIndex, headerLength: this.headerLength });
    this.queue = new SplitDeviceQueue({
      ring: this.driver.ring,
      memory: flatMemory(this.windows, window, options.edgeBytes),
      eventIndex,
      indirect: false,
      startIndex: 0,
    });
    this.tx = new TxQueue(options.batch ?? 128);
    this.tx.bind(this.queue, this.headerLength, options.capabilities ?? 0);
    this.frames = new FrameBatch(this.windows, options.frames ?? 128, options.entries ?? 1024);
  }

  transmit(frame: Uint8Array, split: readonly number[] = [], header: readonly number[] = []): void {
    const bytes = new Uint8Array(this.headerLength + frame.length);
    bytes.set(header);
    bytes.set(frame, this.headerLength);
    this.driver.transmit(bytes, split);
  }

  frameBytes(index: number): Uint8Array {
    const { frames } = this;
    const out = new Uint8Array(frames.length[index]);
    const window = this.windows.add(out);
    const done = gather(frames.select(index, new Iov(frames.pool)), frames.offset[index], window, 0, out.length);
    this.windows.remove(window);
    expect(done).toBe(out.length);
    return out;
  }

  counter(name: keyof typeof NetCounter): number {
    return this.tx.counters[NetCounter[name]];
  }
}

const frameOf = (length: number, seed = 1): Uint8Array => new Uint8Array(length).map((_, i) => (i * 7 + seed) & 0xff);

test("a frame is (iov, offset, length): the header is skipped by an offset, not by a shortened entry", () => {
  for (const headerLength of [10, 12] as const) {
    for (const split of [[], [headerLength], [1], [headerLength + 1], [5, 21, 40], [0, 3], Array(80).fill(1)]) {
      const device = new Device({ headerLength, capabilities: CHECKSUM });
      device.transmit(frameOf(100), split);
      expect(device.tx.popBatch(device.frames)).toBe(1);
      expect(device.frames.offset[0]).toBe(headerLength);
      expect(device.frames.length[0]).toBe(100);
      expect(device.frameBytes(0)).toEqual(frameOf(100));
      expect(device.tx.complete()).toBe(1);
      expect(device.driver.reapUsed()).toEqual([0]);
    }
  }
});

test("the virtio-net header is read at every split point, one byte an entry included", () => {
  const header = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0];
  const splits: number[][] = Array.from({ length: 24 }, (_, at) => [at]);
  splits.push(Array(12).fill(1), Array(112).fill(1), [3, 3, 3, 3]);
  for (const headerLength of [10, 12] as const) {
    for (const split of splits) {
      const device = new Device({ headerLength, capabilities: CHECKSUM });
      device.transmit(frameOf(100), split, header);
      expect(device.tx.popBatch(device.frames)).toBe(1);
      const { flags, checksumStart, checksumOffset, gsoType, gsoSize } = device.frames;
      expect([flags[0], checksumStart[0], checksumOffset[0], gsoType[0], gsoSize[0]]).toEqual([1, 34, 16, 0, 0]);
      expect(device.frameBytes(0)).toEqual(frameOf(100));
    }
  }
});

describe("header fields", () => {
  const TSO = CHECKSUM | Capability.takesTso4;
  const gso = (type: number, size: number, flags = 1, hdrLen = 54): number[] => [
    flags,
    type,
    hdrLen & 0xff,
    hdrLen >> 8,
    size & 0xff,
    size >> 8,
    34,
    0,
    16,
    0,
  ];
  const rows: readonly [string, number, readonly number[], boolean][] = [
    ["a partial checksum", CHECKSUM, [1, 0, 0, 0, 0, 0, 82, 0, 16, 0], true],
    ["a partial checksum behind the frame's end", CHECKSUM, [1, 0, 0, 0, 0, 0, 83, 0, 16, 0], false],
    ["offsets whose sum passes 65535", CHECKSUM, [1, 0, 0, 0, 0, 0, 255, 255, 255, 255], false],
    ["a partial checksum that was not negotiated", Capability.takesTso4, [1, 0, 0, 0, 0, 0, 34, 0, 16, 0], false],
    ["flags of the device, ignored", CHECKSUM, [6, 0, 9, 9, 9, 9, 9, 9, 9, 9], true],
    ["TSO", TSO, gso(1, 1400), true],
    ["TSO of a family that was not negotiated", TSO, gso(4, 1400), false],
    ["TSO with ECN, never offered", TSO, gso(0x81, 1400), false],
    ["TSO without a partial checksum", TSO, gso(1, 1400, 0), false],
    ["TSO with a segment size of 0", TSO, gso(1, 0), false],
    ["TSO with headers longer than the frame", TSO, gso(1, 1400, 1, 101), false],
    ["an unknown gso_type", TSO, gso(2, 1400), false],
    ["nothing negotiated: the header is ignored", 0, gso(2, 0, 255, 65535), true],
  ];
  for (const [name, capabilities, header, valid] of rows) {
    test(`${name}: ${valid ? "passes" : "dropped and counted"}`, () => {
      const device = new Device({ capabilities });
      device.transmit(frameOf(100), [], header);
      expect(device.tx.popBatch(device.frames)).toBe(valid ? 1 : 0);
      expect(device.counter("txBadHeader")).toBe(valid ? 0 : 1);
      const { frames } = device;
      const offload = valid && (header[0] & 1) === 1 && capabilities !== 0;
      expect(frames.flags[0]).toBe(offload ? 1 : 0);
      expect(frames.checksumStart[0]).toBe(offload ? header[6] : 0);
      expect(frames.gsoSize[0]).toBe(offload && header[1] === 1 ? 1400 : 0);
      expect(frames.headerLength[0]).toBe(offload && header[1] === 1 ? 54 : 0);
      expect(device.tx.complete()).toBe(1);
      expect(device.driver.reapUsed()).toEqual([0]);
    });
  }
});

test("chains too short, too long or with writable buffers are dropped, counted and returned, in order with the others", () => {
  const device = new Device({ size: 16 });
  device.driver.transmit(new Uint8Array(11));
  device.transmit(frameOf(13));
  device.transmit(frameOf(14));
  device.driver.postMixed([200, 100], 1);
  device.transmit(frameOf(65551));
  device.transmit(frameOf(65550));
  device.driver.post([100]);
  device.transmit(frameOf(60, 9));
  expect(device.tx.popBatch(device.frames)).toBe(3);
  expect(device.tx.popped).toBe(8);
  expect([...device.frames.length.subarray(0, 3)]).toEqual([14, 65550, 60]);
  expect(device.frameBytes(1)).toEqual(frameOf(65550));
  expect(device.frameBytes(2)).toEqual(frameOf(60, 9));
  expect(device.counter("txTooShort")).toBe(2);
  expect(device.counter("txTooLong")).toBe(1);
  expect(device.counter("txWritable")).toBe(2);
  expect(device.counter("txFrames")).toBe(3);
  expect(device.counter("txBytes")).toBe(14 + 65550 + 60);
  expect(device.tx.complete()).toBe(8);
  expect(device.driver.reapUsed()).toEqual(Array(8).fill(0));
});

test("TX batch: N chains whose total fits the pool are all popped, the one that does not fit stays available", () => {
  const device = new Device({ entries: 10 });
  device.transmit(frameOf(60, 1), [12, 10, 10, 10, 10, 10]); // 7 entries
  device.transmit(frameOf(60, 2), [12]); // 2
  device.transmit(frameOf(60, 3), [12]); // 2: does not fit
  expect(device.tx.popBatch(device.frames)).toBe(2);
  expect(device.frames.pool.count).toBe(9);
  device.tx.complete();
  expect(device.driver.reapUsed()).toEqual([0, 0]);
  expect(device.queue.nextAvailable).toBe(2);
  expect(device.tx.popBatch(device.frames)).toBe(1);
  expect(device.frameBytes(0)).toEqual(frameOf(60, 3));
});

test("TX batch: a dropped chain uses no room of the pool", () => {
  const device = new Device({ entries: 5 });
  device.driver.transmit(new Uint8Array(20), [1, 1, 1, 1]);
  device.transmit(frameOf(60), [1, 1, 1, 1]);
  expect(device.tx.popBatch(device.frames)).toBe(1);
  expect(device.frameBytes(0)).toEqual(frameOf(60));
  expect(device.tx.complete()).toBe(2);
});

test("pop: a chain that does not fit an empty pool breaks the queue, and the owner can see why", () => {
  const device = new Device({ entries: 3 });
  device.transmit(frameOf(60), [1, 1, 1]);
  expect(device.tx.brokenReason).toBe(0);
  expect(device.tx.popBatch(device.frames)).toBe(0);
  expect(device.tx.brokenReason).toBe(RingFault.tooManyEntries);
  expect(device.tx.complete()).toBe(0);
});

test("a frame that came before the fault is not lost", () => {
  const device = new Device({ size: 8 });
  device.transmit(frameOf(60));
  device.driver.ring.available[3] = 4711;
  device.driver.ring.available[1]++;
  expect(device.tx.popBatch(device.frames)).toBe(1);
  expect(device.frameBytes(0)).toEqual(frameOf(60));
  expect(device.tx.brokenReason).toBe(RingFault.headOutOfRange);
  expect(device.tx.complete()).toBe(1);
  expect(device.driver.reapUsed()).toEqual([0]);
});

test("a batch is bounded, by chains and by frames", () => {
  for (const bound of [{ batch: 4 }, { frames: 4 }]) {
    const device = new Device(bound);
    for (let i = 0; i < 10; i++) device.transmit(frameOf(60, i));
    const counts: number[] = [];
    do {
      counts.push(device.tx.popBatch(device.frames));
      for (let i = 0; i < device.frames.count; i++) {
        expect(device.frameBytes(i)).toEqual(frameOf(60, (counts.length - 1) * 4 + i));
      }
    } while (device.tx.complete() > 0);
    expect(counts).toEqual([4, 4, 2, 0]);
    expect(device.driver.reapUsed().length).toBe(10);
  }
});

test("used.idx is stored once for a batch, when it is complete", () => {
  const device = new Device();
  for (let i = 0; i < 5; i++) device.transmit(frameOf(60));
  device.tx.popBatch(device.frames);
  expect(device.driver.ring.used[1]).toBe(0);
  expect(device.tx.needsNotification()).toBe(false);
  device.tx.complete();
  expect(device.driver.ring.used[1]).toBe(5);
  expect(device.tx.needsNotification()).toBe(true);
  expect(device.tx.needsNotification()).toBe(false);
});

test("a buffer across a window edge becomes two entries of one frame", () => {
  const device = new Device({ edgeBytes: 64, capabilities: CHECKSUM });
  device.transmit(frameOf(1000), [7], [1, 0, 0, 0, 0, 0, 34, 0, 16, 0]);
  expect(device.tx.popBatch(device.frames)).toBe(1);
  expect(device.frames.entryCount[0]).toBeGreaterThan(15);
  expect(device.frames.checksumStart[0]).toBe(34);
  expect(device.frameBytes(0)).toEqual(frameOf(1000));
});

test("without a queue there is nothing, and popBatch before complete is an error", () => {
  const device = new Device();
  device.transmit(frameOf(60));
  device.tx.popBatch(device.frames);
  expect(() => device.tx.popBatch(device.frames)).toThrow("before complete");
  device.tx.bind(null, 12, 0);
  expect(device.tx.popBatch(device.frames)).toBe(0);
  expect(device.tx.complete()).toBe(0);
  expect(device.tx.needsNotification()).toBe(false);
  expect(device.tx.brokenReason).toBe(0);
});

test("two devices in one process never disturb each other", () => {
  const one = new Device({ capabilities: CHECKSUM });
  const other = new Device({ capabilities: CHECKSUM, headerLength: 10 });
  one.transmit(frameOf(100, 1), [1], [1, 0, 0, 0, 0, 0, 34, 0, 16, 0]);
  other.transmit(frameOf(100, 2), [2], [1, 0, 0, 0, 0, 0, 54, 0, 6, 0]);
  one.tx.popBatch(one.frames);
  other.tx.popBatch(other.frames);
  expect(one.frameBytes(0)).toEqual(frameOf(100, 1));
  expect(other.frameBytes(0)).toEqual(frameOf(100, 2));
  expect([one.frames.checksumStart[0], other.frames.checksumStart[0]]).toEqual([34, 54]);
  other.tx.complete();
  one.tx.complete();
  expect([one.driver.reapUsed(), other.driver.reapUsed()]).toEqual([[0], [0]]);
});
