import { IovPool } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";

/** Bytes of one receive slot: no ICMP message is longer, so none is ever cut. */
export const SLOT_BYTES = 65536;

/**
 * Where echo replies are received to before their frames exist, because only the receive tells how long they are.
 *
 * Slot `i` is entry `i` of {@link pool}: {@link SLOT_BYTES} bytes at {@link slotAt} of {@link window}, which get the
 * ICMP message from its header on. A receive fills the columns of the slots it used, from slot 0 on.
 */
export class EchoSlots {
  readonly windows: WindowTable;
  readonly window: number;
  readonly capacity: number;
  /** One entry a slot. */
  readonly pool: IovPool;
  /** Bytes of the message in the slot, ICMP header included. */
  readonly lengthBytes: Int32Array;
  /** 1 when the message was longer than the slot; it is dropped. */
  readonly truncated: Uint8Array;
  /** Source address, 4 words a slot; all 0 where it is not known. */
  readonly address: Uint32Array;
  readonly #offset: number;

  /** @param offset place in `window` of `capacity` times {@link SLOT_BYTES} bytes that the slots own. */
  constructor(windows: WindowTable, window: number, offset: number, capacity: number) {
    if (offset + capacity * SLOT_BYTES > windows.bytes[window].length) {
      throw new RangeError(`window ${window} has no room for ${capacity} slots of ${SLOT_BYTES} bytes`);
    }
    this.windows = windows;
    this.window = window;
    this.capacity = capacity;
    this.#offset = offset;
    this.pool = new IovPool(windows, capacity);
    for (let i = 0; i < capacity; i++) this.pool.append(window, offset + i * SLOT_BYTES, SLOT_BYTES);
    this.lengthBytes = new Int32Array(capacity);
    this.truncated = new Uint8Array(capacity);
    this.address = new Uint32Array(4 * capacity);
  }

  /** Where slot `index` begins in the window. */
  slotAt(index: number): number {
    return this.#offset + index * SLOT_BYTES;
  }
}
