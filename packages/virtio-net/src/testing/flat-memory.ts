import type { IovPool } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { DeviceQueueOptions } from "@passt-ts/virtio-ring/ring-format";

type QueueMemory = DeviceQueueOptions["memory"];

/**
 * Guest memory for tests and examples: one window, in which a guest address is the offset.
 *
 * @param edgeBytes a buffer is cut into two entries at each multiple of this, as at a window edge.
 */
export function flatMemory(
  windows: WindowTable,
  window: number,
  edgeBytes: number = Number.POSITIVE_INFINITY,
): QueueMemory {
  const translate = (addressHigh: number, addressLow: number, lengthBytes: number, pool: IovPool): number => {
    const end = addressLow + lengthBytes;
    if (addressHigh !== 0 || end > windows.bytes[window].length) return -1;
    const mark = pool.count;
    for (let from = addressLow; from < end; ) {
      const to = Math.min(end, (Math.floor(from / edgeBytes) + 1) * edgeBytes || end);
      if (!pool.append(window, from, to - from)) {
        pool.truncate(mark);
        return -2;
      }
      from = to;
    }
    return 0;
  };
  // A queue uses nothing else of a GuestMemory.
  return { windows, translate } as unknown as QueueMemory;
}
