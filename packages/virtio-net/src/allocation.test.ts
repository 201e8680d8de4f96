import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import type { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { guestParts } from "@passt-ts/virtio-ring/testing/guest-ring";
import { describeKind, makeQueues, QUEUE_KINDS, type QueueKind, tablesIn } from "@passt-ts/virtio-ring/testing/queues";
import { NetCounter } from "./net-counter.ts";
import { RxQueue } from "./rx-queue.ts";
import { TxQueue } from "./tx-queue.ts";

const FRAMES = 15_000;

function objectsMadeBy(work: () => void): number {
  work();
  Bun.gc(true);
  const before = heapStats().objectCount;
  work();
  return heapStats().objectCount - before;
}

interface Rig {
  readonly windows: WindowTable;
  readonly device: DeviceQueue;
  /** Makes the same chains available again, after all were returned. */
  readonly recycle: () => void;
}

function makeRig(kind: QueueKind, indirect: boolean, chains: number, fill: (chain: DescriptorChain) => void): Rig {
  const size = 256;
  const guest = guestParts(kind.format, { size, dataBytes: size * 4 * 16 + 65536 });
  const tables = indirect ? tablesIn(guest, 4) : null;
  const { driver, device } = makeQueues(guest, kind, tables);
  const chain = new DescriptorChain(4);
  fill(chain);
  // Buffers of all chains are the same, behind the tables: nobody looks at what is in them.
  chain.addressLow.forEach((_, i) => {
    chain.addressLow[i] = guest.dataAddress + size * 4 * 16 + 4096 * i;
  });
  const recycle = (): void => {
    while (driver.reap() >= 0);
    for (let i = 0; i < chains; i++) if (!(indirect ? driver.addIndirect(chain) >= 0 : driver.add(chain) >= 0)) break;
    driver.publish();
    driver.needsKick();
  };
  recycle();
  return { windows: guest.windows, device, recycle };
}

for (const kind of QUEUE_KINDS) {
  for (const indirect of [false, true]) {
    const name = `${describeKind(kind)}, ${indirect ? "indirect" : "direct"}`;

    test(`receive queue, ${name}: no allocation for each frame, short reads and padding included`, () => {
      const { windows, device, recycle } = makeRig(kind, indirect, 128, (chain) =>
        chain.writable(0, 12).writable(0, 1514),
      );
      const rx = new RxQueue(windows, { queueSizeMax: 256 });
      rx.bind(device, 12, true, 0);
      const made = objectsMadeBy(() => {
        for (let i = 0; i < FRAMES; i += 3) {
          for (let j = 0; j < 4; j++) rx.reserve(4000);
          rx.giveBack(3);
          rx.commit(0, 4000);
          rx.commit(1, 4000);
          rx.commit(2, 42);
          rx.publish();
          rx.needsNotification();
          rx.wantRoom((i & 1) === 0);
          recycle();
        }
      });
      expect(rx.counters[NetCounter.rxFrames]).toBeGreaterThanOrEqual(2 * FRAMES);
      expect(made).toBeLessThan(FRAMES / 50);
    });

    test(`transmit queue, ${name}: no allocation for each frame, split headers included`, () => {
      const fill = (chain: DescriptorChain) => chain.readable(0, 5).readable(0, 10).readable(0, 20).readable(0, 77);
      const { windows, device, recycle } = makeRig(kind, indirect, 32, fill);
      const tx = new TxQueue(32);
      tx.bind(device, 12, 1);
      const frames = new FrameBatch(windows, 32, 512);
      const made = objectsMadeBy(() => {
        for (let i = 0; i < FRAMES; i += 32) {
          if (tx.popBatch(frames) !== 32) throw new Error("a batch of another size");
          tx.complete();
          tx.needsNotification();
          recycle();
        }
      });
      expect(made).toBeLessThan(FRAMES / 50);
    });
  }
}
