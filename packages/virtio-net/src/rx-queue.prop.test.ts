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

// The model: a list of the capacities of the buffers that the driver posted and nobody took, and a list of the frames
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
const layout = array(integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 5 });

interface Reserved {
  readonly length: number;
  readonly buffers: number;
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
  readonly layout: readonly number[];
  readonly bufferBytes: number;
  readonly mergeable: boolean;
  available: number;
  taken = 0;
  seed = 0;
  first = 0;
  reserved: Reserved[] = [];
  committed: { readonly length: number; readonly seed: number; readonly buffers: number }[] = [];

  constructor(kind: QueueKind, sizes: readonly number[], mergeable: boolean, start: number) {
    const packed = kind.format.name === "packed";
    const place = (start & 0x8000) | (start % this.size);
    const startIndex = packed ? place * 0x1_0001 : start;
    this.kind = kind;
    this.startIndex = startIndex & 0xffff;
    const memory = new Uint8Array(1 << 20);
    const window = this.windows.add(memory);
    this.layout = sizes;
    this.mergeable = mergeable;
    this.bufferBytes = sizes.reduce((sum, size) => sum + size, 0);
    this.driver = new NetDriver({ ...kind, memory, size: this.size, mergeable, startIndex });
    const guest = flatMemory(this.windows, window, 4096);
    this.queue = this.driver.deviceQueue(guest);
    this.available = Math.floor(this.size / sizes.length);
    for (let i = 0; i < this.available; i++) this.driver.post(sizes);
    this.rx = new RxQueue(this.windows, { queueSizeMax: this.size, extraEntries: 600, frameCapacity: 40 });
    this.rx.bind(this.queue, 12, mergeable, 0);
  }

  /** The base of a queue that has gone on by this many chains. */
  baseAfter(chains: number): number {
    if (this.kind.format.name === "split") return (this.startIndex + chains) & 0xffff;
    const index = (this.startIndex & 0x7fff) + chains * this.layout.length;
    const wrap = (this.startIndex >>> 15) ^ (Math.floor(index / this.size) & 1);
    return (wrap << 15) | (index % this.size);
  }

  buffersFor(bytes: number): number {
    return Math.ceil((Math.max(bytes, 60) + 12) / this.bufferBytes);
  }

  reserve(bytes: number): void {
    const buffers = this.buffersFor(bytes);
    const fits = buffers <= this.available && (this.mergeable || buffers === 1) && this.rx.frames.count < 40;
    const index = this.rx.reserve(bytes);
    expect(index >= 0).toBe(fits);
    if (!fits) return;
    expect(index).toBe(this.first + this.reserved.length);
    this.reserved.push({ length: bytes, buffers, seed: ++this.seed & 0xff });
    this.available -= buffers;
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
    const buffers = this.buffersFor(bytes);
    this.rx.commit(this.first, bytes);
    this.available += oldest.buffers - buffers;
    this.committed.push({ length: bytes, seed: oldest.seed, buffers });
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
    for (const { buffers } of this.reserved.splice(at)) this.available += buffers;
    if (at === 0) this.first = 0;
  }

  receive(): void {
    this.rx.publish();
    for (const { length: bytes, seed, buffers } of this.committed) {
      const frame = this.driver.receive();
      const padded = new Uint8Array(Math.max(bytes, 60));
      padded.fill(seed, 0, bytes);
      expect(frame?.bytes).toEqual(padded);
      expect(frame?.usedBytes.length).toBe(buffers);
      expect(frame?.usedBytes.reduce((sum, used) => sum + used, 0)).toBe(padded.length + 12);
      expect(frame?.untouchedBehind).toBe(true);
      for (let i = 0; i < buffers; i++) this.driver.post(this.layout);
      this.available += buffers;
      this.taken += buffers;
    }
    expect(this.driver.receive()).toBeNull();
    this.committed = [];
  }

  run(step: Command): void {
    if (step.kind === "reserve") this.reserve(step.length);
    else if (step.kind === "commit") this.commit(step.shorter);
    else if (step.kind === "giveBack") this.giveBack(step.at);
    else this.receive();
    const held = [...this.reserved, ...this.committed].reduce((sum, { buffers }) => sum + buffers, 0);
    expect(this.queue.nextAvailable & 0xffff).toBe(this.baseAfter(this.taken + held));
    expect(this.queue.heldDescriptors).toBe(held * this.layout.length);
    expect(this.rx.frames.count).toBe(this.first + this.reserved.length);
    if (this.reserved.length === 0) expect(this.rx.frames.pool.count).toBe(0);
  }
}

for (const kind of QUEUE_KINDS) {
  test(`${describeKind(kind)}: reserve, commit, give back and publish behave as the list of buffers`, () => {
    const start = constantFrom(0, 40000, 65500);
    assert(
      property(layout, boolean(), start, array(command, { maxLength: 60 }), (sizes, mergeable, at, steps) => {
        const run = new Run(kind, sizes, mergeable, at);
        for (const step of steps) run.run(step);
        run.giveBack(0);
        run.receive();
        const base = run.baseAfter(run.taken);
        expect(run.queue.nextAvailable).toBe(kind.format.name === "split" ? base : base * 0x1_0001);
        expect(run.queue.heldDescriptors).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
}
