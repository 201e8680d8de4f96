import { type GuestMemory, Translation } from "@passt-ts/guest-memory/guest-memory";
import type { IovPool } from "@passt-ts/iov/iov";
import { DescriptorFlag } from "./descriptor.ts";
import { PopResult } from "./device-queue.ts";
import type { Elements } from "./elements.ts";
import { IndirectTable } from "./indirect-table.ts";
import { RingFault } from "./ring-fault.ts";

// Trust: everything here was written by the guest, and may be written again while it is read. Each word is read once,
// and every loop that the guest steers ends after as many descriptors as its caller allows.

/** The longest chain in bytes (virtio 1.3, 2.7.5). */
const CHAIN_BYTES_MAX = 0x1_0000_0000;

/**
 * The buffers of the chain that a device pops at the moment, descriptor by descriptor, whatever the format of the ring.
 *
 * The methods answer 0, a {@link RingFault}, or {@link PopResult.poolFull}; the entries that they appended until then
 * are the caller's to drop.
 */
export class ChainBuffers {
  /**
   * Entries of device-readable and of device-writable buffers, and the bytes in them. An empty buffer has no direction:
   * its entry counts as readable as long as nothing writable came.
   */
  outCount = 0;
  inCount = 0;
  outBytes = 0;
  inBytes = 0;
  readonly #memory: GuestMemory;
  readonly #table: IndirectTable;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.#table = new IndirectTable(memory);
  }

  /** Begins a chain. */
  clear(): void {
    this.outCount = 0;
    this.inCount = 0;
    this.outBytes = 0;
    this.inBytes = 0;
  }

  /** Appends the buffer of one descriptor; of its flags only `write` is looked at. */
  add(addressHigh: number, addressLow: number, lengthBytes: number, flags: number, pool: IovPool): number {
    if (lengthBytes === 0) return this.#addEmpty(pool);
    const before = pool.count;
    if ((flags & DescriptorFlag.write) !== 0) this.inBytes += lengthBytes;
    else if (this.inBytes > 0) return RingFault.readableAfterWritable;
    else this.outBytes += lengthBytes;
    if (this.outBytes + this.inBytes > CHAIN_BYTES_MAX) return RingFault.chainTooLarge;
    const result = this.#memory.translate(addressHigh, addressLow, lengthBytes, pool);
    if (result === Translation.unmapped) return RingFault.unmapped;
    if (result === Translation.poolFull) return PopResult.poolFull;
    if ((flags & DescriptorFlag.write) !== 0) this.inCount += pool.count - before;
    else this.outCount += pool.count - before;
    return RingFault.none;
  }

  /** Empty buffers take an entry as all do: otherwise a round would read as many of them as a guest likes. */
  #addEmpty(pool: IovPool): number {
    if (!pool.append(0, 0, 0)) return PopResult.poolFull;
    if (this.inBytes > 0) this.inCount++;
    else this.outCount++;
    return RingFault.none;
  }

  /** Appends what an indirect table holds whose descriptors are linked by `next` (2.7.5.3), at most `left` of them. */
  addLinkedTable(addressHigh: number, addressLow: number, lengthBytes: number, left: number, pool: IovPool): number {
    const table = this.#table;
    const fault = table.open(addressHigh, addressLow, lengthBytes);
    if (fault !== RingFault.none) return fault;
    let index = 0;
    for (; left > 0; left--) {
      if (index >= table.size) return RingFault.nextOutOfRange;
      table.read(index);
      const flagsAndNext = table.lastWord;
      if ((flagsAndNext & DescriptorFlag.indirect) !== 0) return RingFault.indirectNested;
      const result = this.add(table.addressHigh, table.addressLow, table.lengthBytes, flagsAndNext, pool);
      if (result !== RingFault.none) return result;
      if ((flagsAndNext & DescriptorFlag.next) === 0) return RingFault.none;
      index = flagsAndNext >>> 16;
    }
    return RingFault.chainTooLong;
  }

  /** Appends all that an indirect table of a packed ring holds, one descriptor after the other (2.8.7). */
  addWholeTable(addressHigh: number, addressLow: number, lengthBytes: number, left: number, pool: IovPool): number {
    const table = this.#table;
    const fault = table.open(addressHigh, addressLow, lengthBytes);
    if (fault !== RingFault.none) return fault;
    if (table.size > left) return RingFault.chainTooLong;
    for (let index = 0; index < table.size; index++) {
      table.read(index);
      const flags = table.lastWord >>> 16;
      // All flags but `write` are to be ignored; a table inside a table is refused all the same, as it is no buffer.
      if ((flags & DescriptorFlag.indirect) !== 0) return RingFault.indirectNested;
      const result = this.add(table.addressHigh, table.addressLow, table.lengthBytes, flags, pool);
      if (result !== RingFault.none) return result;
    }
    return RingFault.none;
  }

  /** Makes the chain a new element, which must have room; `firstEntry` is where its entries begin. Returns its index. */
  store(elements: Elements, head: number, pool: IovPool, firstEntry: number): number {
    const at = elements.count;
    elements.pool = pool;
    elements.head[at] = head;
    elements.firstEntry[at] = firstEntry;
    elements.outCount[at] = this.outCount;
    elements.inCount[at] = this.inCount;
    elements.outBytes[at] = this.outBytes;
    elements.inBytes[at] = this.inBytes;
    elements.count = at + 1;
    return at;
  }
}
