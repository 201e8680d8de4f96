import type { DescriptorChain } from "./descriptor-chain.ts";

/** Memory for the indirect tables of a driver: one table for each descriptor of the ring. */
export interface IndirectTables {
  /** At least `size * tableSize * 4` words. */
  readonly words: Uint32Array;
  /** Guest address of the first word; a multiple of 16, below 2^53. */
  readonly guestAddress: number;
  /** Descriptors in each table. */
  readonly tableSize: number;
}

/**
 * The driver's side of a virtqueue, whatever its format: for tests of devices, and for a driver of one's own.
 *
 * One thread uses it. A chain is known by its head: an index or a buffer id that is free again once it was reaped.
 */
export interface DriverQueue {
  readonly size: number;

  /** A number of {@link RingFault}: the device broke the rules. */
  readonly brokenReason: number;

  /**
   * Bytes that the device wrote to the chain reaped last, as it says; all that the chain could take when it was returned
   * with a later one (VIRTIO_F_IN_ORDER).
   */
  readonly reapedBytes: number;

  /** Free descriptors. */
  readonly freeCount: number;

  /** Adds a chain in descriptors of the ring, unpublished. Returns its head, or -1 when they are too few. */
  add(chain: DescriptorChain): number;

  /** Adds a chain in an indirect table, unpublished. Returns its head, or -1 when there is no descriptor or table. */
  addIndirect(chain: DescriptorChain): number;

  /** Shows the device all chains added so far, at once. */
  publish(): void;

  /** Says whether the device wants a kick for what was published since this was last asked. */
  needsKick(): boolean;

  /**
   * Takes back the next chain that the device has used and frees its descriptors. Returns its head, with
   * {@link DriverQueue.reapedBytes}; or {@link PopResult.empty} or {@link PopResult.broken}.
   */
  reap(): number;

  /** Asks the device for no used buffer notifications for now; it may send some all the same. */
  suppressNotifications(): void;

  /**
   * Asks the device for a notification when it uses the entry that is `after` entries behind the next one: entries of
   * the used ring (split) or descriptors (packed). Returns true when used chains wait to be reaped already: for those no
   * notification may come.
   */
  allowNotifications(after?: number): boolean;
}

/** @throws RangeError when the indirect tables are too small for a ring of `size` descriptors. */
export function checkIndirectTables(tables: IndirectTables | null, size: number): void {
  if (tables !== null && tables.words.length < size * tables.tableSize * 4) {
    throw new RangeError(`${tables.words.length} words for ${size} indirect tables`);
  }
}
