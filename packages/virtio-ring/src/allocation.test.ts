import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "./descriptor-chain.ts";
import { Elements } from "./elements.ts";
import { guestParts } from "./testing/guest-ring.ts";
import { describeKind, makeQueues, QUEUE_KINDS, tablesIn } from "./testing/queues.ts";

const ROUNDS = 5000;

function objectsMadeBy(work: () => void): number {
  work();
  Bun.gc(true);
  const before = heapStats().objectCount;
  work();
  return heapStats().objectCount - before;
}

for (const kind of QUEUE_KINDS) {
  for (const indirect of [false, true]) {
    test(`${describeKind(kind)}, ${indirect ? "indirect" : "direct"}: no allocation for each chain, on either side`, () => {
      const size = 64;
      const guest = guestParts(kind.format, { size, dataBytes: size * 4 * 16 + 4096 });
      const { driver, device } = makeQueues(guest, kind, tablesIn(guest, 4));
      const pool = new IovPool(guest.windows, 64);
      const elements = new Elements(16);
      const at = guest.dataAddress;
      const chain = new DescriptorChain(3).readable(at, 12).readable(at, 100).writable(at, 7);
      let returned = 0;
      const made = objectsMadeBy(() => {
        for (let round = 0; round < ROUNDS; round++) {
          for (let i = 0; i < 16; i++)
            if (indirect) driver.addIndirect(chain);
            else driver.add(chain);
          driver.publish();
          driver.needsKick();
          driver.allowNotifications();
          device.suppressKicks();
          pool.truncate(0);
          elements.clear();
          while (device.pop(elements, pool) >= 0);
          device.unpop(elements, 1);
          device.pop(elements, pool);
          for (let i = 0; i < elements.count; i++) device.push(elements.head[i], 7);
          device.publish();
          device.needsNotification();
          device.allowKicks();
          while (driver.reap() >= 0) returned++;
          driver.suppressNotifications();
        }
      });
      expect([returned, device.brokenReason, driver.brokenReason]).toEqual([2 * 16 * ROUNDS, 0, 0]);
      expect(made).toBeLessThan(ROUNDS / 10);
    });
  }
}
