import { describe, expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import { WindowTable } from "@passt-ts/iov/windows";
import { Capability } from "@passt-ts/net-backend/backend";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { Refused } from "@passt-ts/net-backend/rx-sink";
import { RingFault } from "@passt-ts/virtio-ring/ring-fault";
import { packedFormat, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import { describeKind, QUEUE_KINDS, type QueueKind } from "@passt-ts/virtio-ring/testing/queues";
import { array, assert, integer, property } from "fast-check";
import { RxQueue } from "./rx-queue.ts";
import { flatMemory } from "./testing/flat-memory.ts";
import { NetDriver } from "./testing/net-driver.ts";
import { faultsOf, frameOf, ReceiveRig } from "./testing/receive-rig.ts";
import { TxQueue } from "./tx-queue.ts";

// Whatever the ring is and however a driver lays frames out, the same frames come through.

/** Headers as drivers negotiate them; the legacy ones come without VERSION_1 (virtio 1.3, 5.1.6.1). */
const HEADERS = [
  { name: "mergeable, modern or legacy", headerLength: 12, mergeable: true },
  { name: "modern", headerLength: 12, mergeable: false },
  { name: "legacy", headerLength: 10, mergeable: false },
] as const;

/** A partial checksum at 34 + 16, so that every byte of the header that is looked at has to be found. */
const HEADER = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];

interface TxOptions {
  readonly size: number;
  readonly headerLength: 10 | 12;
  readonly tableSize: number;
  readonly memoryBytes?: number;
  readonly edgeBytes?: number;
}

/** A transmit queue with its driver; each frame is sent, looked at and returned. */
class TxRig {
  readonly windows = new WindowTable();
  readonly driver: NetDriver;
  readonly tx = new TxQueue(32);
  readonly frames: FrameBatch;
  readonly #headerLength: number;
  readonly #iov: Iov;

  constructor(kind: QueueKind, options: TxOptions) {
    const { size, headerLength, tableSize } = options;
    const memory = new Uint8Array(options.memoryBytes ?? 1 << 20);
    const window = this.windows.add(memory);
    this.driver = new NetDriver({ ...kind, memory, size, headerLength, tableSize });
    this.frames = new FrameBatch(this.windows, 32, size + 1024);
    this.tx.bind(
      this.driver.deviceQueue(flatMemory(this.windows, window, options.edgeBytes)),
      headerLength,
      Capability.takesPartialChecksum,
    );
    this.#headerLength = headerLength;
    this.#iov = new Iov(this.frames.pool);
  }

  /** What is wrong with a frame sent in descriptors of these sizes and one with the rest; "" when nothing is. */
  faultOf(frame: Uint8Array, split: readonly number[]): string {
    const sent = new Uint8Array(this.#headerLength + frame.length);
    sent.set(HEADER.slice(0, this.#headerLength));
    sent.set(frame, this.#headerLength);
    this.driver.transmit(sent, split);
    const { frames } = this;
    if (this.tx.popBatch(frames) !== 1) return `no frame, broken: ${this.tx.brokenReason}`;
    if (frames.length[0] !== frame.length) return `${frames.length[0]} bytes`;
    if (frames.flags[0] !== 1 || frames.checksumStart[0] !== 34 || frames.checksumOffset[0] !== 16) return "header";
    const got = new Uint8Array(frame.length);
    const window = this.windows.add(got);
    gather(frames.select(0, this.#iov), frames.offset[0], window, 0, got.length);
    this.windows.remove(window);
    if (Buffer.compare(got, frame) !== 0) return "other bytes than were sent";
    if (this.tx.complete() !== 1) return "not returned";
    return this.driver.reapUsed().join() === "0" ? "" : "not used with length 0";
  }
}

for (const kind of QUEUE_KINDS) {
  for (const tableSize of [0, 1]) {
    const layout = tableSize === 0 ? "direct" : "indirect";
    describe(`transmit, ${describeKind(kind)}, ${layout}`, () => {
      for (const headerLength of [10, 12] as const) {
        test(`a frame passes at every split point, and at every pair of them in its headers, header of ${headerLength}`, () => {
          const rig = new TxRig(kind, { size: 8, headerLength, tableSize: tableSize * 8 });
          const frame = frameOf(114);
          const faults: string[] = [];
          for (let first = 0; first <= frame.length + headerLength; first++) {
            faults.push(rig.faultOf(frame, [first]));
            for (let second = 0; first + second < 70; second++) faults.push(rig.faultOf(frame, [first, second]));
          }
          expect(faults.length).toBeGreaterThan(2500);
          expect(faults.filter((fault) => fault !== "")).toEqual([]);
        });
      }

      test("a frame passes with one descriptor a byte, up to 1500 bytes", () => {
        const memoryBytes = 64 << 20;
        const rig = new TxRig(kind, { size: 2048, headerLength: 12, tableSize: tableSize * 1600, memoryBytes });
        for (const length of [52, 60, 61, 342, 590, 1000, 1472, 1499, 1500]) {
          expect(rig.faultOf(frameOf(length), new Array(length + 12).fill(1))).toBe("");
        }
      });

      test("a large frame passes in 64 random splits", () => {
        const memoryBytes = 32 << 20;
        const options = { size: 128, headerLength: 12, tableSize: tableSize * 128, memoryBytes } as const;
        const rig = new TxRig(kind, { ...options, edgeBytes: 4096 });
        const splits = array(integer({ min: 0, max: 3000 }), { maxLength: 120 });
        assert(
          property(integer({ min: 1501, max: 65550 }), splits, (length, split) => {
            expect(rig.faultOf(frameOf(length), split)).toBe("");
          }),
          { numRuns: 64 },
        );
      });
    });
  }

  describe(`receive, ${describeKind(kind)}`, () => {
    for (const { name, headerLength, mergeable } of HEADERS.filter((header) => header.mergeable)) {
      test(`${name}: buffers of any size, down to one byte`, () => {
        for (const bytes of [1, 2, 3, 9, 10, 11, 12, 13, 22, 40, 72, 73, 128, 1526, 65562]) {
          for (const tableSize of [0, 2]) {
            const chains = Math.min(2048, Math.floor(2_000_000 / bytes));
            const options = { ...kind, size: 2048, headerLength, mergeable, tableSize, chains };
            const rig = new ReceiveRig({ ...options, layout: [bytes] });
            for (const length of [0, 14, 42, 60, 61, 1000, 1514]) {
              const sent = frameOf(length);
              const buffers = Math.ceil((Math.max(length, 60) + headerLength) / bytes);
              rig.send(sent);
              const frame = rig.receive();
              expect(faultsOf(frame, sent, true)).toEqual([]);
              expect(frame.usedBytes.length).toBe(buffers);
              for (let i = 0; i < buffers; i++) rig.driver.post([bytes]);
            }
          }
        }
      });
    }

    for (const { name, headerLength, mergeable } of HEADERS.filter((header) => !header.mergeable)) {
      test(`${name}: one chain of several descriptors holds the frame, wherever it is split`, () => {
        const layouts = [
          [1526],
          [headerLength, 1514],
          [2, 1600],
          [600, 600, 600],
          new Array(1600).fill(1),
          [5, 0, 3, 1600],
        ];
        for (const layout of layouts) {
          const tableSizes = layout.length > 20 ? [0] : [0, 4];
          for (const tableSize of tableSizes) {
            const rig = new ReceiveRig({ ...kind, size: 2048, headerLength, mergeable, tableSize, layout, chains: 1 });
            for (const length of [0, 14, 60, 61, 1000, 1514]) {
              const sent = frameOf(length);
              rig.send(sent);
              const frame = rig.receive();
              expect(faultsOf(frame, sent, false)).toEqual([]);
              expect(frame.usedBytes.length).toBe(1);
              rig.driver.post(layout);
            }
          }
        }
      });
    }

    test("a frame longer than the whole ring is too long, not waited for, also in chains of several descriptors", () => {
      const rig = new ReceiveRig({ ...kind, size: 16, layout: [64, 64] });
      expect(rig.rx.reserve(8 * 128 - 12 + 1)).toBe(Refused.tooLong);
      expect(rig.rx.reserve(8 * 128 - 12)).toBe(0);
      // While this frame holds the ring, others only have to wait.
      expect(rig.rx.reserve(60)).toBe(Refused.noRoom);
      rig.rx.giveBack(0);
      expect(rig.queue.heldDescriptors).toBe(0);
    });

    test("a waiting engine is told of room by a kick", () => {
      const rig = new ReceiveRig({ ...kind, layout: [500], chains: 2 });
      rig.driver.queue.needsKick();
      expect(rig.rx.reserve(1400)).toBe(Refused.noRoom);
      expect(rig.rx.wantRoom(true)).toBe(false);
      rig.driver.post([500]);
      expect(rig.driver.queue.needsKick()).toBe(true);
      expect(rig.rx.wantRoom(true)).toBe(true);
      expect(rig.rx.reserve(1400)).toBe(0);
      rig.rx.giveBack(0);
      rig.rx.wantRoom(false);
      rig.driver.post([500]);
      // The event index of a split ring stays where it was, and gives one more kick.
      expect(rig.driver.queue.needsKick()).toBe(kind.format === splitFormat && kind.eventIndex);
    });
  });

  test(`transmit, ${describeKind(kind)}: a batch with dropped chains goes back whole, in order`, () => {
    const windows = new WindowTable();
    const memory = new Uint8Array(1 << 20);
    const driver = new NetDriver({ ...kind, memory, size: 64, headerLength: 12 });
    const tx = new TxQueue(32);
    tx.bind(driver.deviceQueue(flatMemory(windows, windows.add(memory))), 12, 0);
    const frames = new FrameBatch(windows, 32, 256);
    for (let round = 0; round < 20; round++) {
      driver.transmit(new Uint8Array(72), [12, 20]);
      driver.transmit(new Uint8Array(11)); // too short
      driver.postMixed([200, 100], 1); // writable
      driver.transmit(new Uint8Array(500), [1, 1, 1]);
      driver.post([100]);
      driver.transmit(new Uint8Array(60));
      expect(tx.popBatch(frames)).toBe(3);
      expect(driver.reapUsed()).toEqual([]);
      expect(driver.queue.allowNotifications()).toBe(false);
      expect(tx.complete()).toBe(6);
      expect(tx.needsNotification()).toBe(true);
      expect(driver.reapUsed()).toEqual(new Array(6).fill(0));
    }
    expect([tx.brokenReason, driver.queue.brokenReason, driver.queue.freeCount]).toEqual([0, 0, 64]);
  });

  test(`${describeKind(kind)}: a broken queue says why, stays broken, and its successor works`, () => {
    const windows = new WindowTable();
    const memory = new Uint8Array(1 << 20);
    const guest = flatMemory(windows, windows.add(memory));
    const rx = new RxQueue(windows, { queueSizeMax: 64 });
    const tx = new TxQueue(32);
    const frames = new FrameBatch(windows, 32, 256);
    for (const guestAddress of [memory.length, 0]) {
      memory.fill(0);
      const options = { ...kind, size: 16, guestAddress };
      const receiver = new NetDriver({ ...options, memory: memory.subarray(0, 1 << 19) });
      const sender = new NetDriver({ ...options, memory, at: 1 << 19 });
      rx.bind(receiver.deviceQueue(guest), 12, true, 0);
      tx.bind(sender.deviceQueue(guest), 12, 0);
      receiver.post([1600]);
      sender.transmit(new Uint8Array(72));
      const fault = guestAddress === 0 ? RingFault.none : RingFault.unmapped;
      for (let attempt = 0; attempt < 3; attempt++) {
        expect(rx.reserve(60)).toBe(fault === 0 ? (attempt === 0 ? 0 : Refused.noRoom) : Refused.notReady);
        expect(tx.popBatch(frames)).toBe(fault === 0 && attempt === 0 ? 1 : 0);
        tx.complete();
        expect([rx.brokenReason, tx.brokenReason, rx.ready]).toEqual([fault, fault, fault === 0]);
      }
    }
  });
}

test("firmware, boot loader and kernel of one guest: each driver's header, buffers and ring hold from its start on", () => {
  const windows = new WindowTable();
  const memory = new Uint8Array(1 << 20);
  const window = windows.add(memory);
  const guest = flatMemory(windows, window);
  const rx = new RxQueue(windows, { queueSizeMax: 256 });
  const tx = new TxQueue(32);
  const frames = new FrameBatch(windows, 32, 1024);
  const drivers = [
    { format: splitFormat, size: 16, headerLength: 10, mergeable: false, eventIndex: false, inOrder: false },
    { format: splitFormat, size: 64, headerLength: 12, mergeable: true, eventIndex: true, inOrder: false },
    { format: packedFormat, size: 100, headerLength: 12, mergeable: true, eventIndex: true, inOrder: true },
    { format: packedFormat, size: 7, headerLength: 12, mergeable: false, eventIndex: false, inOrder: false },
    { format: splitFormat, size: 32, headerLength: 10, mergeable: false, eventIndex: true, inOrder: true },
  ] as const;
  rx.wantRoom(true);
  for (const [i, options] of drivers.entries()) {
    memory.fill(0);
    const { headerLength, mergeable } = options;
    const receiver = new NetDriver({ ...options, memory: memory.subarray(0, 1 << 19) });
    const sender = new NetDriver({ ...options, memory, at: 1 << 19 });
    rx.bind(receiver.deviceQueue(guest), headerLength, mergeable, 0);
    tx.bind(sender.deviceQueue(guest), headerLength, 0);
    receiver.post([1600]);
    expect(receiver.queue.needsKick()).toBe(true); // it was wanted before there was a ring
    const index = rx.reserve(100);
    expect([index, rx.frames.offset[0]]).toEqual([0, headerLength]);
    rx.commit(index, 100);
    rx.publish();
    const frame = receiver.receive();
    expect([frame?.header.length, frame?.bytes.length, frame?.usedBytes[0]]).toEqual([
      headerLength,
      100,
      100 + headerLength,
    ]);
    if (headerLength === 12) expect([...(frame?.header.slice(10) ?? [])]).toEqual([1, 0]);
    sender.transmit(new Uint8Array(headerLength + 64 + i), [headerLength]);
    expect(tx.popBatch(frames)).toBe(1);
    expect([frames.offset[0], frames.length[0]]).toEqual([headerLength, 64 + i]);
    tx.complete();
    expect(sender.reapUsed()).toEqual([0]);
    rx.bind(null, headerLength, mergeable, 0);
    tx.bind(null, headerLength, 0);
  }
});
