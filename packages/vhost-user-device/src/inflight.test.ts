import { describe, expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { Elements } from "@passt-ts/virtio-ring/elements";
import { packedFormat, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import { guestPackedRing, guestRing } from "@passt-ts/virtio-ring/testing/guest-ring";
import { makeDriverQueue } from "@passt-ts/virtio-ring/testing/queues";
import { PackedRegion, packedRegionBytes, TrackedPackedQueue } from "./inflight-packed.ts";
import { SplitRegion, splitRegionBytes, TrackedSplitQueue } from "./inflight-split.ts";

const OPTIONS = { eventIndex: false, inOrder: false, indirectTables: null };
const SIZE = 16;

/** A device's hold on a queue: what it popped. */
class Hand {
  readonly elements = new Elements(64);
  readonly pool: IovPool;
  readonly queue: DeviceQueue;

  constructor(queue: DeviceQueue, guest: { readonly windows: ConstructorParameters<typeof IovPool>[0] }) {
    this.queue = queue;
    this.pool = new IovPool(guest.windows, 64);
  }

  /** Pops all there is; the bytes of each chain. */
  pop(): number[] {
    const from = this.elements.count;
    while (this.queue.pop(this.elements, this.pool) >= 0);
    return [...this.elements.outBytes.slice(from, this.elements.count)];
  }

  push(count: number): void {
    for (let i = 0; i < count; i++) this.queue.push(this.elements.head[i] as number, 0);
  }
}

describe("in-flight tracking of a packed ring", () => {
  function rig() {
    const guest = guestPackedRing({ size: SIZE, dataBytes: 65536 });
    const startIndex = packedFormat.newRingBase;
    const driver = makeDriverQueue(packedFormat, SIZE, guest.parts, { ...OPTIONS, startIndex });
    const bytes = new Uint8Array(packedRegionBytes(SIZE));
    const device = (start: number): Hand => {
      const { memory } = guest;
      const options = { memory, eventIndex: false, indirect: false, inOrder: false, startIndex: start };
      const queue = packedFormat.deviceQueue(SIZE, guest.parts, options);
      return new Hand(new TrackedPackedQueue(queue, new PackedRegion(bytes, guest.ring)), guest);
    };
    const send = (...lengths: number[]): void => {
      for (const length of lengths) {
        const chain = new DescriptorChain(2).readable(guest.dataAddress, length).readable(guest.dataAddress, 1);
        expect(driver.add(chain)).toBeGreaterThanOrEqual(0);
      }
      driver.publish();
    };
    const reapAll = (): number => {
      let count = 0;
      while (driver.reap() >= 0) count++;
      return count;
    };
    return { guest, driver, region: () => new PackedRegion(bytes, guest.ring), device, send, reapAll };
  }

  test("killed at any store of a publication: the next one gets all of the batch, or none of it", () => {
    // The stores of a batch of three, of two descriptors each: lengths and flags of the later ones, then the first's.
    const stores: ((words: Uint32Array, lap: number) => void)[] = [
      (words) => {
        words[10 * 4 + 2] = 0;
      },
      (words, lap) => {
        words[10 * 4 + 3] = (lap << 16) | 2;
      },
      (words, lap) => {
        words[8 * 4 + 2] = 0;
        words[8 * 4 + 3] = (lap << 16) | 1;
      },
      (words) => {
        words[6 * 4 + 2] = 0;
      },
    ];
    for (let done = 0; done <= stores.length; done++) {
      const { device, region, send, reapAll, guest, driver } = rig();
      region().begin(packedFormat.newRingBase & 0xffff);
      const first = device(packedFormat.newRingBase);
      send(1, 2, 3);
      first.pop();
      first.push(3);
      first.queue.publish();
      expect(reapAll()).toBe(3);
      send(100, 200, 300);
      first.elements.clear();
      expect(first.pop()).toEqual([101, 201, 301]);
      // What publish does, until the process is no more.
      region().publishing(0x8000 | 12);
      for (const store of stores.slice(0, done)) store(guest.ring.descriptors, 0x8080);
      const start = region().recover();
      expect(start).toBe(0x8000 | 6);
      const second = device(start);
      expect(second.pop()).toEqual([101, 201, 301]);
      second.push(3);
      second.queue.publish();
      expect([reapAll(), driver.brokenReason]).toEqual([3, 0]);
      expect(region().recover()).toBe(0x8000 | 12);
    }
  });

  test("killed after the last store, and the driver has added more: the batch is not used again", () => {
    const { device, region, send, reapAll } = rig();
    region().begin(0x8000);
    const first = device(0x8000);
    for (let lap = 0; lap < 7; lap++) {
      send(10, 20, 30);
      expect(first.pop()).toEqual([11, 21, 31]);
      const before = region().recover();
      first.push(3);
      first.queue.publish();
      first.elements.clear();
      first.pool.truncate(0);
      const end = region().recover();
      // As if the last word had not come to be written.
      region().published(before);
      region().publishing(end);
      expect(reapAll()).toBe(3);
      if (lap % 2 === 0) send(40, 50);
      expect(region().recover()).toBe(end);
      if (lap % 2 === 0) {
        expect(device(end).pop()).toEqual([41, 51]);
        expect(first.pop()).toEqual([41, 51]);
        first.push(2);
        first.queue.publish();
        first.elements.clear();
        first.pool.truncate(0);
        expect(reapAll()).toBe(2);
      }
    }
  });

  test("chains that are held across a publication stay in flight, and pops that are taken back do not", () => {
    const { device, region, send, reapAll } = rig();
    region().begin(0x8000);
    const first = device(0x8000);
    send(10, 20, 30, 40);
    first.pop();
    first.queue.unpop(first.elements, 1);
    first.push(2);
    first.queue.publish();
    expect(reapAll()).toBe(2);
    const start = region().recover();
    expect(start).toBe(0x8000 | 4);
    expect(device(start).pop()).toEqual([31, 41]);
  });

  test("a region that tells of nothing, or nonsense, is said to be none", () => {
    const { guest } = rig();
    const bytes = new Uint8Array(packedRegionBytes(SIZE));
    expect(new PackedRegion(bytes, guest.ring).recover()).toBe(-1);
    new PackedRegion(bytes, guest.ring).begin(5);
    const words = new Uint16Array(bytes.buffer);
    for (const [at, value] of [
      [4, 2],
      [5, SIZE * 2],
      [8, SIZE],
      [9, 0xffff],
    ] as const) {
      const right = words[at] as number;
      words[at] = value;
      expect(new PackedRegion(bytes, guest.ring).recover()).toBe(-1);
      words[at] = right;
    }
    expect(new PackedRegion(bytes, guest.ring).recover()).toBe(5);
  });
});

describe("in-flight tracking of a split ring", () => {
  function rig() {
    const guest = guestRing({ size: SIZE, dataBytes: 65536 });
    const driver = makeDriverQueue(splitFormat, SIZE, guest.parts, { ...OPTIONS, startIndex: 0 });
    const bytes = new Uint8Array(splitRegionBytes(SIZE));
    const device = (start: number): Hand => {
      const { memory } = guest;
      const options = { memory, eventIndex: false, indirect: false, inOrder: false, startIndex: start };
      const queue = splitFormat.deviceQueue(SIZE, guest.parts, options);
      return new Hand(new TrackedSplitQueue(queue, new SplitRegion(bytes, guest.ring)), guest);
    };
    const send = (...lengths: number[]): void => {
      for (const length of lengths) driver.add(new DescriptorChain(1).readable(guest.dataAddress, length));
      driver.publish();
    };
    return { guest, driver, bytes, region: () => new SplitRegion(bytes, guest.ring), device, send };
  }
  const inflight = (bytes: Uint8Array): number[] =>
    Array.from({ length: SIZE }, (_, i) => i).filter((i) => bytes[16 + i * 16] !== 0);

  test("the layout is the specification's: flag and counter of each head, the last batch as a list, the used index", () => {
    const { bytes, region, device, send } = rig();
    region().begin(0);
    const hand = device(0);
    send(10, 20, 30);
    hand.pop();
    const view = new DataView(bytes.buffer);
    expect([view.getUint16(8, true), view.getUint16(10, true), inflight(bytes)]).toEqual([1, SIZE, [0, 1, 2]]);
    expect([0, 1, 2].map((head) => view.getBigUint64(16 + head * 16 + 8, true))).toEqual([0n, 1n, 2n]);
    hand.push(2);
    expect([view.getUint16(12, true), view.getUint16(16 + 16 + 6, true)]).toEqual([1, 0]);
    expect(inflight(bytes)).toEqual([0, 1, 2]);
    hand.queue.publish();
    expect([view.getUint16(14, true), inflight(bytes)]).toEqual([2, [2]]);
    hand.queue.unpop(hand.elements, 1);
    expect(inflight(bytes)).toEqual([]);
  });

  test("killed between the used index and the flags: the last batch is not in flight any more", () => {
    const { guest, bytes, region, device, send } = rig();
    region().begin(0);
    const hand = device(0);
    send(10, 20, 30);
    hand.pop();
    hand.push(2);
    // The last word of publish before the process is no more.
    Atomics.store(guest.ring.used, 1, 2);
    expect(region().recover()).toBe(2);
    expect(inflight(bytes)).toEqual([]);
    expect(device(2).pop()).toEqual([30]);
  });

  test("a back-end that used chains out of order cannot be followed, and a ring that began anew is no ring of it", () => {
    const { guest, bytes, region, device, send } = rig();
    region().begin(0);
    send(10, 20, 30);
    device(0).pop();
    // It used the second one, and left the first and the third.
    guest.ring.usedElements.set([1, 0]);
    bytes[16 + 16] = 0;
    Atomics.store(guest.ring.used, 1, 1);
    new DataView(bytes.buffer).setUint16(14, 1, true);
    expect(region().recover()).toBe(-2);
    new DataView(bytes.buffer).setUint16(14, 500, true);
    expect(region().recover()).toBe(-1);
    bytes[8] = 7;
    expect(region().recover()).toBe(-1);
  });
});
