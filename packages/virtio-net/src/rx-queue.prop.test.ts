import { expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { memset } from "@passt-ts/iov/memset";
import { WindowTable } from "@passt-ts/iov/windows";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { describeKind, QUEUE_KINDS, type QueueKind } from "@passt-ts/virtio-ring/testing/queues";
import { array, assert, boolean, constantFrom, integer, nat, oneof, property, record } from "fast-check";
import { RxQueue } from "./rx-queue.ts";
import { flatMemory } from "./testing/flat-memory.ts";
import { NetDriver } from "./testing/net-driver.ts";

// The model: a list of the buffers that the driver posted and nobody took, of all sizes mixed, and a list of the frames
// reserved, each with the buffers that it took.

type Command =
  | { readonly kind: "reserve"; readonly length: number }
  | { readonly kind: "commit"; readonly shorter: number }
  | { readonly kind: "giveBack"; readonly at: number }
  | { readonly kind: "receive" };

const length = oneof(integer({ min: 0, max: 80 }), integer({ min: 0, max: 1514 }), integer({ min: 0, max: 9000 }));
const command = oneof(
  record({ kind: constantFrom("reserve" as const), length }),
  record({ kind: constantFrom("commit" as const), shorter: nat({ max: 3000 }) }),
  record({ kind: constantFrom("giveBack" as const), at: nat({ max: 10 }) }),
  record({ kind: constantFrom("receive" as const) }),
);
const bufferBytes = oneof(integer({ min: 0, max: 3 }), integer({ min: 0, max: 100 }), integer({ min: 1, max: 900 }));
const layout = array(bufferBytes, { minLength: 1, maxLength: 5 }).filter((sizes) => sum(sizes) > 0);
const layouts = array(layout, { minLength: 1, maxLength: 4 });

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

/** A buffer, one chain: what it holds, and in how many descriptors. */
interface Buffer {
  readonly bytes: number;
  readonly descriptors: number;
}

function descriptorsOf(buffers: readonly Buffer[]): number {
  return buffers.reduce((total, { descriptors }) => total + descriptors, 0);
}

interface Reserved {
  readonly length: number;
  readonly buffers: readonly Buffer[];
  readonly seed: number;
}

class Run {
  readonly size = 64;
  readonly windows = new WindowTable();
  readonly driver: NetDriver;
  readonly queue: DeviceQueue;
  readonly kind: QueueKind;
  readonly startIndex: number;
  readonly rx: RxQueue;
  /** What the driver posts, one after the other and again from the first. */
  readonly layouts: readonly (readonly number[])[];
  readonly mergeable: boolean;
  readonly available: Buffer[] = [];
  posted = 0;
  freeDescriptors = this.size;
  /** Buffers that went back to the driver, and their descriptors. */
  taken = 0;
  takenDescriptors = 0;
  seed = 0;
  first = 0;
  reserved: Reserved[] = [];
  committed: Reserved[] = [];

  constructor(kind: QueueKind, sizes: readonly (readonly number[])[], mergeable: boolean, start: number) {
    const packed = kind.format.name === "packed";
    const place = (start & 0x8000) | (start % this.size);
    const startIndex = packed ? place * 0x1_0001 : start;
    this.kind = kind;
    this.startIndex = startIndex & 0xffff;
    const memory = new Uint8Array(1 << 20);
    const window = this.windows.add(memory);
    this.layouts = sizes;
    this.mergeable = mergeable;
    this.driver = new NetDriver({ ...kind, memory, size: this.size, mergeable, startIndex });
    const guest = flatMemory(this.windows, window, 4096);
    this.queue = this.driver.deviceQueue(guest);
    this.post();
    this.rx = new RxQueue(this.windows, { queueSizeMax: this.size, extraEntries: 600, frameCapacity: 40 });
    this.rx.bind(this.queue, 12, mergeable, 0);
  }

  /** Gives the device as many buffers as the ring takes. */
  post(): void {
    for (;;) {
      const sizes = this.layouts[this.posted % this.layouts.length];
      if (sizes.length > this.freeDescriptors) return;
      this.driver.post(sizes);
      this.available.push({ bytes: sum(sizes), descriptors: sizes.length });
      this.freeDescriptors -= sizes.length;
      this.posted++;
    }
  }

  /** The base of a queue that has gone on by this many chains, of so many descriptors. */
  baseAfter(chains: number, descriptors: number): number {
    if (this.kind.format.name === "split") return (this.startIndex + chains) & 0xffff;
    const index = (this.startIndex & 0x7fff) + descriptors;
    const wrap = (this.startIndex >>> 15) ^ (Math.floor(index / this.size) & 1);
    return (wrap << 15) | (index % this.size);
  }

  /** How many of these buffers a frame takes; more than there are, when they are too small. */
  countFor(bytes: number, buffers: readonly Buffer[]): number {
    let left = Math.max(bytes, 60) + 12;
    let count = 0;
    for (; left > 0 && count < buffers.length; count++) left -= buffers[count].bytes;
    return left > 0 ? count + 1 : count;
  }

  reserve(bytes: number): void {
    const count = this.countFor(bytes, this.available);
    const fits = count <= this.available.length && (this.mergeable || count === 1) && this.rx.frames.count < 40;
    const index = this.rx.reserve(bytes);
    expect(index >= 0).toBe(fits);
    if (!fits) return;
    expect(index).toBe(this.first + this.reserved.length);
    this.reserved.push({ length: bytes, buffers: this.available.splice(0, count), seed: ++this.seed & 0xff });
    const { frames } = this.rx;
    memset(frames.select(index, new Iov(frames.pool)), 12, this.seed & 0xff, bytes);
  }

  commit(shorter: number): void {
    const oldest = this.reserved.shift();
    if (oldest === undefined) return;
    let bytes = oldest.length;
    const { frames } = this.rx;
    const iov = frames.select(this.first, new Iov(frames.pool));
    if (this.reserved.length === 0 && shorter < bytes) {
      bytes -= shorter;
      memset(iov, 12 + bytes, 0xa5, shorter);
    }
    const count = this.countFor(bytes, oldest.buffers);
    this.rx.commit(this.first, bytes);
    this.available.unshift(...oldest.buffers.slice(count));
    this.committed.push({ length: bytes, seed: oldest.seed, buffers: oldest.buffers.slice(0, count) });
    this.first = this.reserved.length === 0 ? 0 : this.first + 1;
  }

  giveBack(at: number): void {
    if (at >= this.reserved.length) return;
    // What was written there looks untouched again to the next frame that gets these buffers.
    const { frames } = this.rx;
    for (let i = at; i < this.reserved.length; i++) {
      memset(frames.select(this.first + i, new Iov(frames.pool)), 12, 0xa5, this.reserved[i].length);
    }
    this.rx.giveBack(this.first + at);
    this.available.unshift(...this.reserved.splice(at).flatMap(({ buffers }) => buffers));
    if (at === 0) this.first = 0;
  }

  receive(): void {
    this.rx.publish();
    for (const { length: bytes, seed, buffers } of this.committed) {
      const frame = this.driver.receive();
      const padded = new Uint8Array(Math.max(bytes, 60));
      padded.fill(seed, 0, bytes);
      expect(frame?.bytes).toEqual(padded);
      expect(frame?.capacityBytes).toEqual(buffers.map((buffer) => buffer.bytes));
      // All are full but the last one.
      let left = padded.length + 12;
      expect(frame?.usedBytes).toEqual(
        buffers.map((buffer) => {
          const used = Math.min(left, buffer.bytes);
          left -= used;
          return used;
        }),
      );
      expect(frame?.untouchedBehind).toBe(true);
      this.taken += buffers.length;
      this.takenDescriptors += descriptorsOf(buffers);
      this.freeDescriptors += descriptorsOf(buffers);
    }
    this.post();
    expect(this.driver.receive()).toBeNull();
    this.committed = [];
  }

  run(step: Command): void {
    if (step.kind === "reserve") this.reserve(step.length);
    else if (step.kind === "commit") this.commit(step.shorter);
    else if (step.kind === "giveBack") this.giveBack(step.at);
    else this.receive();
    const held = [...this.reserved, ...this.committed].flatMap(({ buffers }) => buffers);
    const descriptors = descriptorsOf(held);
    const base = this.baseAfter(this.taken + held.length, this.takenDescriptors + descriptors);
    expect(this.queue.nextAvailable & 0xffff).toBe(base);
    expect(this.queue.heldDescriptors).toBe(descriptors);
    expect(this.rx.frames.count).toBe(this.first + this.reserved.length);
    if (this.reserved.length === 0) expect(this.rx.frames.pool.count).toBe(0);
  }
}

for (const kind of QUEUE_KINDS) {
  test(`${describeKind(kind)}: reserve, commit, give back and publish behave as the list of buffers`, () => {
    const start = constantFrom(0, 40000, 65500);
    assert(
      property(layouts, boolean(), start, array(command, { maxLength: 60 }), (sizes, mergeable, at, steps) => {
        const run = new Run(kind, sizes, mergeable, at);
        for (const step of steps) run.run(step);
        run.giveBack(0);
        run.receive();
        const base = run.baseAfter(run.taken, run.takenDescriptors);
        expect(run.queue.nextAvailable).toBe(kind.format.name === "split" ? base : base * 0x1_0001);
        expect(run.queue.heldDescriptors).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
}
