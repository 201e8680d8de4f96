import { type GuestMemory, Translation } from "@passt-ts/guest-memory/guest-memory";
import { IovPool } from "@passt-ts/iov/iov";
import { DESCRIPTOR_BYTES } from "./descriptor.ts";
import { RingFault } from "./ring-fault.ts";

/** More descriptors than `next`, a number of 16 bits, could name; more than any queue has. */
const TABLE_SIZE_MAX = 0x1_0000;

/** Pieces a table may lie in; one, but for a table across a window or region edge. */
const PIECES_MAX = 64;

/**
 * Reads the descriptors of one indirect table after another (virtio 1.3, 2.7.5.3 and 2.8.7), wherever they lie in guest memory:
 * at any alignment, across window and region edges.
 *
 * One for each queue, opened anew for each table, so that no table costs an allocation.
 */
export class IndirectTable {
  /** Descriptors in the open table. */
  size = 0;
  /** The descriptor read last; a copy, so that what was checked is what is used. */
  addressHigh = 0;
  addressLow = 0;
  lengthBytes = 0;
  /** Flags and next (split), or id and flags (packed). */
  lastWord = 0;
  readonly #memory: GuestMemory;
  readonly #pieces: IovPool;
  readonly #copy: DataView = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES));

  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.#pieces = new IovPool(memory.windows, PIECES_MAX);
  }

  /** Opens the table of `lengthBytes` bytes at a guest address; a {@link RingFault}, 0 when it can be read. */
  open(addressHigh: number, addressLow: number, lengthBytes: number): number {
    if (lengthBytes === 0 || lengthBytes % DESCRIPTOR_BYTES !== 0) return RingFault.indirectLength;
    this.size = lengthBytes / DESCRIPTOR_BYTES;
    if (this.size > TABLE_SIZE_MAX) return RingFault.indirectLength;
    this.#pieces.truncate(0);
    const result = this.#memory.translate(addressHigh, addressLow, lengthBytes, this.#pieces);
    if (result === Translation.mapped) return RingFault.none;
    return result === Translation.unmapped ? RingFault.indirectUnmapped : RingFault.tooManyEntries;
  }

  /** Reads descriptor `index`, below {@link IndirectTable.size}, into the fields. */
  read(index: number): void {
    const pieces = this.#pieces;
    let at = index * DESCRIPTOR_BYTES;
    let view = pieces.windows.views[pieces.window[0]];
    if (pieces.count > 1) {
      this.#gather(at);
      view = this.#copy;
      at = 0;
    } else {
      at += pieces.offset[0];
    }
    this.addressLow = view.getUint32(at, true);
    this.addressHigh = view.getUint32(at + 4, true);
    this.lengthBytes = view.getUint32(at + 8, true);
    this.lastWord = view.getUint32(at + 12, true);
  }

  /** Copies the descriptor at byte `from` of a table in several pieces. */
  #gather(from: number): void {
    const { window, offset, length, windows } = this.#pieces;
    let piece = 0;
    for (let i = 0; i < DESCRIPTOR_BYTES; i++) {
      while (from >= length[piece]) from -= length[piece++];
      this.#copy.setUint8(i, windows.bytes[window[piece]][offset[piece] + from]);
      from++;
    }
  }
}
