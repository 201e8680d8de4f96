import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { SplitDeviceQueue } from "@passt-ts/virtio-ring/split-device-queue";
import { NetCounter } from "./net-counter.ts";
import { RxQueue } from "./rx-queue.ts";
import { flatMemory } from "./testing/flat-memory.ts";
import { NetDriver } from "./testing/net-driver.ts";
import { TxQueue } from "./tx-queue.ts";

const FRAMES = 50_000;

function objectsMadeBy(work: () => void): number {
  work();
  Bun.gc(true);
  const before = heapStats().objectCount;
  work();
  return heapStats().objectCount - before;
}

function rig(): { windows: WindowTable; driver: NetDriver; queue: SplitDeviceQueue } {
  const windows = new WindowTable();
  const bytes = new Uint8Array(1 << 20);
  const driver = new NetDriver({ memory: bytes, size: 256 });
  const memory = flatMemory(windows, windows.add(bytes));
  const { ring } = driver;
  return {
    windows,
    driver,
    queue: new SplitDeviceQueue({ ring, memory, eventIndex: false, indirect: false, startIndex: 0 }),
  };
}

/** Makes every used chain available again, as it is: the ring of heads repeats. */
function recycle({ ring }: NetDriver, chains: number): void {
  ring.available[1] = ring.used[1] + chains;
}

test("receive queue: no allocation for each frame, short reads and padding included", () => {
  const { windows, driver, queue } = rig();
  for (let i = 0; i < 128; i++) driver.post([12, 1514]);
  const rx = new RxQueue(windows, { queueSizeMax: 256 });
  rx.bind(queue, 12, true, 0);
  const made = objectsMadeBy(() => {
    for (let i = 0; i < FRAMES; i += 3) {
      for (let j = 0; j < 4; j++) rx.reserve(4000);
      rx.giveBack(3);
      rx.commit(0, 4000);
      rx.commit(1, 4000);
      rx.commit(2, 42);
      rx.publish();
      rx.needsNotification();
      recycle(driver, 128);
    }
  });
  expect(rx.counters[NetCounter.rxFrames]).toBeGreaterThanOrEqual(2 * FRAMES);
  expect(made).toBeLessThan(FRAMES / 50);
});

test("transmit queue: no allocation for each frame, split headers included", () => {
  const { windows, driver, queue } = rig();
  for (let i = 0; i < 64; i++) driver.transmit(new Uint8Array(112), [5, 10, 20]);
  const tx = new TxQueue(32);
  tx.bind(queue, 12, 1);
  const frames = new FrameBatch(windows, 32, 512);
  const made = objectsMadeBy(() => {
    for (let i = 0; i < FRAMES; i += 32) {
      if (tx.popBatch(frames) !== 32) throw new Error("a batch of another size");
      tx.complete();
      tx.needsNotification();
      recycle(driver, 64);
    }
  });
  expect(made).toBeLessThan(FRAMES / 50);
});
