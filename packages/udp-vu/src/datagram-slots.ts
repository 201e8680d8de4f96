import { IovPool } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";

/** Bytes of one receive slot: no datagram is longer, so none is ever cut. */
export const SLOT_BYTES = 65536;

/**
 * Where datagrams are received to before their frames exist, because only the receive tells how long they are.
 *
 * Slot `i` is entry `i` of {@link pool}: {@link SLOT_BYTES} bytes at {@link slotAt} of {@link window}. A receive fills
 * the columns of the slots it used, from slot 0 on; what a slot held before stands behind its length and means nothing.
 */
export class DatagramSlots {
  readonly windows: WindowTable;
  readonly window: number;
  readonly capacity: number;
  /** One entry a slot. */
  readonly pool: IovPool;
  /** Bytes of the datagram in the slot, or of all datagrams that were joined in it. */
  readonly lengthBytes: Int32Array;
  /** Bytes of each of the datagrams of one peer that the kernel joined (UDP_GRO), the last may be shorter; 0: it is one. */
  readonly segmentBytes: Int32Array;
  /** 1 when the datagram was longer than the slot, which only a broken port can cause; it is dropped. */
  readonly truncated: Uint8Array;
  /** Source address, 4 words a slot, and port; read of datagrams from listening sockets only. */
  readonly address: Uint32Array;
  readonly port: Uint16Array;
  /** Interface index of a link-local source address, else 0. */
  readonly scope: Uint32Array;
  /** The host's address that the datagram was sent to, 4 words a slot; all 0 where it is not known. */
  readonly localAddress: Uint32Array;
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
    this.segmentBytes = new Int32Array(capacity);
    this.truncated = new Uint8Array(capacity);
    this.address = new Uint32Array(4 * capacity);
    this.port = new Uint16Array(capacity);
    this.scope = new Uint32Array(capacity);
    this.localAddress = new Uint32Array(4 * capacity);
  }

  /** Bytes of the datagram that begins `from` bytes behind the beginning of slot `index`. */
  datagramBytes(index: number, from: number): number {
    const left = this.lengthBytes[index] - from;
    const segment = this.segmentBytes[index];
    return segment > 0 && segment < left ? segment : left;
  }

  /** Datagrams from there to the end of the slot; an empty slot holds an empty datagram. */
  datagramCount(index: number, from: number): number {
    const segment = this.segmentBytes[index];
    return segment > 0 ? Math.max(1, Math.ceil((this.lengthBytes[index] - from) / segment)) : 1;
  }

  /** Where slot `index` begins in the window. */
  slotAt(index: number): number {
    return this.#offset + index * SLOT_BYTES;
  }
}
