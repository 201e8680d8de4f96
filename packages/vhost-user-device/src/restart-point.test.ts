import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import { Elements } from "@passt-ts/virtio-ring/elements";
import { packedFormat } from "@passt-ts/virtio-ring/ring-format";
import { guestPackedRing, guestRing } from "@passt-ts/virtio-ring/testing/guest-ring";
import { makeQueues } from "@passt-ts/virtio-ring/testing/queues";
import fc from "fast-check";
import { packedRestartPosition, splitRestartIndex } from "./restart-point.ts";

const BEGIN = packedFormat.newRingBase;

test("a split ring goes on where its used ring ends, unless only the base fits what the driver has published", () => {
  const { ring } = guestRing({ size: 16 });
  const cases: [used: number, available: number, base: number, start: number][] = [
    [0, 0, 0, 0],
    [5, 9, 5, 5],
    // Chains were taken and not returned.
    [5, 9, 8, 5],
    [65530, 4, 2, 65530],
    // A front-end that does not know how far it had come.
    [500, 510, 0, 500],
    [500, 510, 77, 500],
    // Memory that the driver before left.
    [500, 3, 0, 0],
    [500, 0, 0, 0],
    // Neither makes sense: the front-end decides, and the ring will break.
    [500, 1000, 7, 7],
  ];
  for (const [used, available, base, start] of cases) {
    ring.used[1] = used;
    ring.available[1] = available;
    expect([used, available, base, splitRestartIndex(ring, base)]).toEqual([used, available, base, start]);
  }
});

test("a packed ring goes on where its device stood, whatever the front-end believes, if chains have one descriptor", () => {
  const step = fc.record({ add: fc.nat(7), use: fc.nat(7) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.array(step, { maxLength: 12 }), (size, steps) => {
      const guest = guestPackedRing({ size, dataBytes: 4096 });
      const { driver, device } = makeQueues(guest, { format: packedFormat, eventIndex: false, inOrder: false });
      const elements = new Elements(16);
      const pool = new IovPool(guest.windows, 16);
      for (const { add, use } of steps) {
        for (let i = 0; i < add && driver.freeCount > 0; i++)
          driver.add(new DescriptorChain(1).readable(guest.dataAddress, 10));
        driver.publish();
        for (let i = 0; i < use; i++) {
          elements.clear();
          pool.count = 0;
          if (device.pop(elements, pool) < 0) break;
          device.push(elements.head[0] as number, 0);
        }
        device.publish();
        while (driver.reap() >= 0);
        const stands = device.nextAvailable & 0xffff;
        expect(packedRestartPosition(guest.ring, device.nextAvailable)).toBe(stands);
        // A base that is one descriptor ahead could be right, behind a chain of two.
        const found = packedRestartPosition(guest.ring, BEGIN);
        if ((stands & 0x7fff) < size - 1) expect(found).toBe(stands);
        else expect([stands, BEGIN & 0xffff]).toContain(found);
      }
    }),
  );
});

test("a packed ring with longer chains goes on where its front-end says", () => {
  const guest = guestPackedRing({ size: 16, dataBytes: 4096 });
  const { driver, device } = makeQueues(guest, { format: packedFormat, eventIndex: false, inOrder: false });
  const elements = new Elements(16);
  const pool = new IovPool(guest.windows, 64);
  const chain = new DescriptorChain(3).readable(guest.dataAddress, 10).readable(guest.dataAddress, 10);
  for (let i = 0; i < 20; i++) {
    driver.add(chain);
    driver.publish();
    elements.clear();
    pool.count = 0;
    device.pop(elements, pool);
    device.push(elements.head[0] as number, 0);
    device.publish();
    driver.reap();
    expect(packedRestartPosition(guest.ring, device.nextAvailable)).toBe(device.nextAvailable & 0xffff);
  }
});
