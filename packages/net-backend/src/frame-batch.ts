import { type Iov, IovPool } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";

/**
 * A batch of Ethernet frames in parallel arrays, over one pool of scatter-gather entries.
 *
 * Frame `i` is (entries, `offset[i]`, `length[i]`): `entryCount[i]` entries of {@link FrameBatch.pool} from
 * `firstEntry[i]` on, in which the Ethernet frame begins at `offset[i]` (behind a virtio-net header, where the driver
 * laid one) and is `length[i]` bytes long. What the entries could hold says nothing about the length of the frame.
 *
 * The remaining columns are the virtio-net header's fields (virtio 1.3, 5.1.6) in host order; offsets in them count
 * from the first byte of the Ethernet frame.
 */
export class FrameBatch {
  readonly capacity: number;
  readonly pool: IovPool;
  readonly firstEntry: Int32Array;
  readonly entryCount: Int32Array;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  /** `VIRTIO_NET_HDR_F_*` bits. */
  readonly flags: Uint8Array;
  /** `VIRTIO_NET_HDR_GSO_*`; 0 for a frame that is one packet on the wire. */
  readonly gsoType: Uint8Array;
  readonly gsoSize: Uint16Array;
  readonly headerLength: Uint16Array;
  readonly checksumStart: Uint16Array;
  readonly checksumOffset: Uint16Array;
  /**
   * 1: nobody waits for this frame to the guest, whose driver may hear of it with the next one. It is no part of the header:
   * a sink zeroes it when it reserves the frame.
   */
  readonly canWait: Uint8Array;
  /** Frames in the batch. */
  count = 0;

  /**
   * @param capacity frames the batch can hold.
   * @param entryCapacity scatter-gather entries that all frames together can use.
   */
  constructor(windows: WindowTable, capacity: number, entryCapacity: number) {
    this.capacity = capacity;
    this.pool = new IovPool(windows, entryCapacity);
    this.firstEntry = new Int32Array(capacity);
    this.entryCount = new Int32Array(capacity);
    this.offset = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.gsoType = new Uint8Array(capacity);
    this.gsoSize = new Uint16Array(capacity);
    this.headerLength = new Uint16Array(capacity);
    this.checksumStart = new Uint16Array(capacity);
    this.checksumOffset = new Uint16Array(capacity);
    this.canWait = new Uint8Array(capacity);
  }

  /** Points `iov`, a list over this batch's pool, at all entries of frame `index`. */
  select(index: number, iov: Iov): Iov {
    return iov.select(this.firstEntry[index], this.entryCount[index]);
  }

  /** Zeroes the virtio-net header fields of frame `index`: one packet, complete checksum. */
  clearOffload(index: number): void {
    this.flags[index] = 0;
    this.gsoType[index] = 0;
    this.gsoSize[index] = 0;
    this.headerLength[index] = 0;
    this.checksumStart[index] = 0;
    this.checksumOffset[index] = 0;
  }

  /** Empties the batch. */
  clear(): void {
    this.count = 0;
    this.pool.count = 0;
  }
}
