import type { IovPool } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";
import { checkRegions, type Region, RegionError } from "./region.ts";

// Trust: addresses and lengths come from the guest, regions from the front-end. Neither is believed: a wrong one costs
// the caller an answer below zero, never a byte outside the regions. The windows come from whoever mapped the memory.

/** What {@link GuestMemory.translate} answers; anything but `mapped` left the pool as it was. */
export const Translation = {
  mapped: 0,
  /** Some byte of the buffer belongs to no region. */
  unmapped: -1,
  /** The pool has no room for all the pieces. */
  poolFull: -2,
} as const;

/** Where a front-end address lies. */
export interface UserLocation {
  readonly region: Region;
  /** Bytes from the first byte of the region. */
  readonly offset: number;
}

/**
 * The guest's physical memory: regions of windows, and the only way from an address that the guest chose to
 * scatter-gather entries.
 *
 * A table never changes; when regions come or go, build a new one from the list (cost: one sort), derive what holds
 * addresses again, and swap.
 */
export class GuestMemory {
  readonly windows: WindowTable;
  readonly regions: readonly Region[];
  // One extent for each window, sorted by guest address: where it begins, where it ends, which window it is. A buffer
  // that crosses from one extent to the next crosses a window or a region edge, which makes no difference.
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #windowOf: Uint16Array;
  // The extent that was hit last: drivers keep their buffers close together.
  #hitStart = 0;
  #hitEnd = 0;
  #hitWindow = 0;

  /**
   * @param windows the table that the regions' windows and the pools of all callers belong to.
   * @throws RegionError when the regions cannot be one memory table, or their windows do not have their sizes.
   */
  constructor(windows: WindowTable, regions: readonly Region[]) {
    checkRegions(regions);
    this.windows = windows;
    this.regions = [...regions];
    const sorted = regions.toSorted((a, b) => a.guestAddress - b.guestAddress);
    const extents = sorted.reduce((total, region) => total + region.windows.length, 0);
    this.#starts = new Float64Array(extents);
    this.#ends = new Float64Array(extents);
    this.#windowOf = new Uint16Array(extents);
    let at = 0;
    for (const region of sorted) {
      let address = region.guestAddress;
      for (const window of region.windows) {
        const windowBytes = windows.bytes[window]?.length ?? 0;
        if (windowBytes === 0) throw new RegionError("REGION_WINDOWS", `no window ${window}`);
        this.#starts[at] = address;
        address += windowBytes;
        this.#ends[at] = address;
        this.#windowOf[at++] = window;
      }
      const inWindows = address - region.guestAddress;
      if (inWindows !== region.sizeBytes) {
        throw new RegionError("REGION_WINDOWS", `${inWindows} bytes of windows for ${region.sizeBytes} bytes`);
      }
    }
  }

  /**
   * Appends to `pool` the entries that hold the `lengthBytes` bytes at a guest address, in order.
   *
   * One entry, or several where the buffer crosses from one window or region to the next; none for a length of 0,
   * whatever the address. Answers a number of {@link Translation}.
   *
   * @param addressHigh upper 32 bits of the guest address, unsigned.
   * @param addressLow lower 32 bits, unsigned.
   * @param lengthBytes 0 to 2^32 - 1.
   */
  translate(addressHigh: number, addressLow: number, lengthBytes: number, pool: IovPool): number {
    // Above 2^53 the sum is rounded, but stays above every region.
    const address = addressHigh * 0x1_0000_0000 + addressLow;
    const start = this.#hitStart;
    if (address >= start && address + lengthBytes <= this.#hitEnd && lengthBytes > 0) {
      return pool.append(this.#hitWindow, address - start, lengthBytes) ? Translation.mapped : Translation.poolFull;
    }
    return lengthBytes > 0 ? this.#search(address, lengthBytes, pool) : Translation.mapped;
  }

  #search(address: number, lengthBytes: number, pool: IovPool): number {
    const starts = this.#starts;
    const ends = this.#ends;
    const windowOf = this.#windowOf;
    const first = this.#extentAt(address);
    if (first < 0) return Translation.unmapped;
    const end = address + lengthBytes;
    let last = first;
    while (ends[last] < end) {
      if (last + 1 === starts.length || starts[last + 1] !== ends[last]) return Translation.unmapped;
      last++;
    }
    if (pool.capacity - pool.count < last - first + 1) return Translation.poolFull;
    let from = address;
    for (let extent = first; extent <= last; extent++) {
      const to = Math.min(end, ends[extent]);
      pool.append(windowOf[extent], from - starts[extent], to - from);
      from = to;
    }
    this.#hitStart = starts[last];
    this.#hitEnd = ends[last];
    this.#hitWindow = windowOf[last];
    return Translation.mapped;
  }

  /** The extent that holds `address`, or -1. */
  #extentAt(address: number): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low > 0 && address < this.#ends[low - 1] ? low - 1 : -1;
  }

  /**
   * Finds the region in which all `lengthBytes` bytes at a front-end address lie, for ring addresses
   * (vhost-user, SET_VRING_ADDR); null when there is none.
   *
   * A range across two regions has no location: they are two mappings, even where their addresses touch.
   */
  locateUser(userAddress: number, lengthBytes: number): UserLocation | null {
    if (!Number.isSafeInteger(userAddress) || !Number.isSafeInteger(lengthBytes) || lengthBytes < 0) return null;
    for (const region of this.regions) {
      const offset = userAddress - region.userAddress;
      if (offset >= 0 && offset < region.sizeBytes && lengthBytes <= region.sizeBytes - offset) {
        return { region, offset };
      }
    }
    return null;
  }
}
