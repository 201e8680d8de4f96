// Linux in QEMU as a driver that nobody here wrote, with the cards that QEMU can make: Debian's QEMU and kernel, and the newest ones,
// which know more and interrupt with MSI-X.

import { test } from "bun:test";
import { type DriverRow, exerciseDriver } from "./driver-rows.ts";
import { findKernel } from "./image.ts";
import { newestQemu } from "./newest-qemu.ts";

const rows: readonly DriverRow[] = [
  {
    driver: "packed rings of 512 and 256",
    card: "packed=on,rx_queue_size=512",
    agreed: ["VERSION_1", "RING_PACKED", "INDIRECT_DESC", "EVENT_IDX", "MRG_RXBUF"],
    rings: { receive: 512, transmit: 256 },
    memory: { sizeMiB: 512, regions: 1 },
  },
  {
    driver: "packed rings of 1024 without indirect descriptors",
    card: "packed=on,indirect_desc=off,rx_queue_size=1024,tx_queue_size=1024",
    agreed: ["VERSION_1", "RING_PACKED", "EVENT_IDX", "MRG_RXBUF"],
    rings: { receive: 1024, transmit: 1024 },
    memory: { sizeMiB: 512, regions: 1 },
  },
  {
    driver: "split rings of 256 and 512 without event index",
    card: "event_idx=off,tx_queue_size=512",
    agreed: ["VERSION_1", "INDIRECT_DESC", "MRG_RXBUF"],
    rings: { receive: 256, transmit: 512 },
    memory: { sizeMiB: 512, regions: 1 },
  },
  {
    driver: "split rings without indirect descriptors, in 6 GiB of memory on both sides of 4 GiB",
    card: "indirect_desc=off,rx_queue_size=1024",
    agreed: ["VERSION_1", "EVENT_IDX", "MRG_RXBUF"],
    rings: { receive: 1024, transmit: 256 },
    memory: { sizeMiB: 6144, regions: 2 },
  },
  {
    driver: "split rings of 512 and 1024 with neither, and no mergeable buffers",
    card: "event_idx=off,indirect_desc=off,mrg_rxbuf=off,rx_queue_size=512,tx_queue_size=1024",
    agreed: ["VERSION_1"],
    rings: { receive: 512, transmit: 1024 },
    memory: { sizeMiB: 512, regions: 1 },
  },
  {
    driver: "a legacy card",
    card: "disable-modern=on,disable-legacy=off",
    agreed: ["INDIRECT_DESC", "EVENT_IDX", "MRG_RXBUF"],
    rings: { receive: 256, transmit: 256 },
    memory: { sizeMiB: 512, regions: 1 },
  },
];

/** IN_ORDER is younger than Debian's. */
const newestRows: readonly DriverRow[] = [
  {
    driver: "packed rings of 512 and 1024 in order",
    card: "packed=on,in_order=on,rx_queue_size=512,tx_queue_size=1024",
    agreed: ["VERSION_1", "RING_PACKED", "IN_ORDER", "INDIRECT_DESC", "EVENT_IDX", "MRG_RXBUF"],
    rings: { receive: 512, transmit: 1024 },
    memory: { sizeMiB: 512, regions: 1 },
  },
  {
    driver: "split rings in order, with neither event index nor indirect descriptors",
    card: "in_order=on,event_idx=off,indirect_desc=off",
    agreed: ["VERSION_1", "IN_ORDER", "MRG_RXBUF"],
    rings: { receive: 256, transmit: 256 },
    memory: { sizeMiB: 512, regions: 1 },
  },
];

const what = "address, ping, streams and datagrams both ways, and no complaint on either side";

for (const row of rows) {
  test(`${row.driver}: ${what}`, async () => {
    const kernel = findKernel("qemu-debian");
    if ("missing" in kernel) throw new Error(kernel.missing);
    await exerciseDriver(row, { kernel });
  }, 240_000);
}

// The first one fetches what is not there yet.
for (const row of newestRows) {
  test(`${row.driver}, in the newest QEMU: ${what}`, async () => await exerciseDriver(row, newestQemu()), 400_000);
}
