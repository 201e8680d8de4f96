import { expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { DescriptorFlag } from "@passt-ts/virtio-ring/descriptor";
import { type RingFormat, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import { RxQueue } from "./rx-queue.ts";
import { flatMemory } from "./testing/flat-memory.ts";
import { NetDriver } from "./testing/net-driver.ts";
import { ReceiveRig } from "./testing/receive-rig.ts";
import { TxQueue } from "./tx-queue.ts";

// Buffers of no bytes: a driver may have one now and then, and a guest may make as many as it likes.

const SIZE = 256;
const POOL_ENTRIES = 2 * SIZE;
const TABLE_AT = 1 << 19;

/** A ring full of chains that share one table of as many empty descriptors as a chain may have, and a real one. */
class EmptyTables {
  readonly windows = new WindowTable();
  /** Through which indirect tables are read. */
  readonly view: DataView;
  #wordsRead = 0;
  readonly queue: ReturnType<RingFormat["deviceQueue"]>;

  constructor(flags: number, lastBytes: number) {
    const bytes = new Uint8Array(1 << 20);
    const window = this.windows.add(bytes);
    this.view = new DataView(bytes.buffer);
    this.view.getUint32 = (at, littleEndian) => {
      this.#wordsRead++;
      return DataView.prototype.getUint32.call(this.view, at, littleEndian);
    };
    this.windows.views[window] = this.view;
    for (let i = 0; i < SIZE; i++) {
      const last = i === SIZE - 1;
      this.#describe(TABLE_AT + i * 16, 0, last ? lastBytes : 0, last ? flags : flags | DescriptorFlag.next, i + 1);
    }
    const parts = {
      descriptors: bytes.subarray(0, splitFormat.descriptorBytes(SIZE)),
      driver: bytes.subarray(1 << 16, (1 << 16) + splitFormat.driverBytes(SIZE)),
      device: bytes.subarray(1 << 17, (1 << 17) + splitFormat.deviceBytes(SIZE)),
    };
    const available = new Uint16Array(bytes.buffer, 1 << 16, 2 + SIZE);
    for (let i = 0; i < SIZE; i++) {
      this.#describe(i * 16, TABLE_AT, SIZE * 16, DescriptorFlag.indirect, 0);
      available[2 + i] = i;
    }
    available[1] = SIZE;
    const memory = flatMemory(this.windows, window);
    const options = { memory, eventIndex: false, indirect: true, inOrder: false, startIndex: 0 };
    this.queue = splitFormat.deviceQueue(SIZE, parts, options);
  }

  #describe(at: number, address: number, lengthBytes: number, flags: number, next: number): void {
    for (const [i, word] of [address, 0, lengthBytes, flags | (next << 16)].entries()) {
      this.view.setUint32(at + i * 4, word, true);
    }
  }

  /** Descriptors of tables read since the last call. */
  takeReads(): number {
    const descriptors = this.#wordsRead / 4;
    this.#wordsRead = 0;
    return descriptors;
  }
}

test("transmit: no batch reads more descriptors than its pool has entries, and one chain more", () => {
  const tables = new EmptyTables(0, 60);
  const tx = new TxQueue(SIZE);
  tx.bind(tables.queue, 12, 0);
  const frames = new FrameBatch(tables.windows, SIZE, POOL_ENTRIES);
  for (let chains = 0; chains < SIZE; chains += tx.complete()) {
    expect(tx.popBatch(frames)).toBe(POOL_ENTRIES / SIZE);
    expect(tables.takeReads()).toBeLessThanOrEqual(POOL_ENTRIES + SIZE);
  }
});

test("receive: no reservation, and no wish for room, reads more descriptors than the pool has entries and one chain more", () => {
  const tables = new EmptyTables(DescriptorFlag.write, 1);
  const rx = new RxQueue(tables.windows, { queueSizeMax: SIZE, extraEntries: POOL_ENTRIES - SIZE });
  rx.bind(tables.queue, 12, true, 0);
  tables.takeReads();
  expect(rx.reserve(1514)).toBeLessThan(0);
  expect(tables.takeReads()).toBeLessThanOrEqual(POOL_ENTRIES + SIZE);
  rx.wantRoom(true);
  expect(tables.takeReads()).toBeLessThanOrEqual(POOL_ENTRIES + SIZE);
});

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i + 1);

test("a receive buffer with an empty descriptor anywhere is one like others", () => {
  for (const layout of [
    [0, 12, 1514],
    [12, 0, 1514],
    [0, 1, 0, 0, 30, 0, 100, 0],
    [1526, 0],
    [5, 0, 60],
  ]) {
    const rig = new ReceiveRig({ layout, chains: 20 });
    for (let i = 0; i < 3; i++) {
      const index = rig.rx.reserve(bytes.length);
      rig.fill(index, bytes);
      rig.rx.commit(index, bytes.length);
      rig.rx.publish();
      const frame = rig.receive();
      expect(frame.bytes).toEqual(bytes);
      expect(frame.untouchedBehind).toBe(true);
      expect(frame.usedBytes.reduce((sum, used) => sum + used, 0)).toBe(bytes.length + 12);
    }
    expect(rig.rx.brokenReason).toBe(0);
  }
});

test("an empty readable descriptor before or behind a receive buffer does not make it a readable one", () => {
  for (const [sizes, readable] of [
    [[0, 1526], 1],
    [[0, 0, 12, 1526], 2],
  ] as const) {
    const rig = new ReceiveRig({ chains: 0 });
    rig.driver.postMixed(sizes, readable);
    expect(rig.rx.reserve(60)).toBe(0);
  }
});

test("a sent frame with an empty writable descriptor behind it is sent", () => {
  const windows = new WindowTable();
  const memory = new Uint8Array(1 << 16);
  const driver = new NetDriver({ memory, size: 8 });
  driver.postMixed([12, 60, 0], 2);
  const tx = new TxQueue(8);
  tx.bind(driver.deviceQueue(flatMemory(windows, windows.add(memory))), 12, 0);
  const frames = new FrameBatch(windows, 8, 16);
  expect(tx.popBatch(frames)).toBe(1);
  expect(frames.length[0]).toBe(60);
});
