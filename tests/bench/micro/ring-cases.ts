// A ring's round: the driver adds chains, the device pops, pushes and publishes them, the driver takes them back. For each descriptor.

import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import { Elements } from "@passt-ts/virtio-ring/elements";
import { guestParts } from "@passt-ts/virtio-ring/testing/guest-ring";
import { describeKind, makeQueues, QUEUE_KINDS, type QueueKind } from "@passt-ts/virtio-ring/testing/queues";
import type { Case } from "./case.ts";

const size = 256;
const bufferBytes = 1526;

function ringRound(kind: QueueKind, chains: number, buffers: number): () => number {
  const guest = guestParts(kind.format, { size, dataBytes: 1 << 20 });
  const { driver, device } = makeQueues(guest, kind, null);
  const pool = new IovPool(guest.windows, 2 * size);
  const elements = new Elements(size);
  const chain = new DescriptorChain(buffers);
  for (let i = 0; i < buffers; i++) chain.writable(guest.dataAddress + i * bufferBytes, bufferBytes);
  return () => {
    for (let i = 0; i < chains; i++) driver.add(chain);
    driver.publish();
    driver.needsKick();
    device.suppressKicks();
    while (device.pop(elements, pool) >= 0);
    for (let i = 0; i < elements.count; i++) device.push(elements.head[i], bufferBytes);
    device.publish();
    device.needsNotification();
    device.allowKicks();
    elements.clear();
    pool.count = 0;
    let reaped = 0;
    while (driver.reap() >= 0) reaped++;
    if (reaped !== chains) throw new Error(`${reaped} chains of ${chains} came back`);
    return reaped;
  };
}

export const ringCases: readonly Case[] = QUEUE_KINDS.flatMap((kind) =>
  [1, 2].map((buffers) => ({
    name: `ring round of 64 chains, ${describeKind(kind)}, descriptors in a chain: ${buffers}`,
    units: 64 * buffers,
    make: () => ringRound(kind, 64, buffers),
  })),
);
