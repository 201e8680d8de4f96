/**
 * The front-end's memory table as mappings of this process. The front-end chooses every number and every file: nothing
 * is mapped before it was compared with the file. A file that is cut while it is mapped ends the process (SIGBUS),
 * unless it is sealed against that.
 */
import { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import { checkRegions, type Region, type RegionRange } from "@passt-ts/guest-memory/region";
import { cutIntoWindows } from "@passt-ts/guest-memory/window-cut";
import type { WindowTable } from "@passt-ts/iov/windows";
import { fileStatus, isRegularFile } from "@passt-ts/linux/file-status";
import { type MappedMemory, mapFile } from "@passt-ts/linux/mapped-memory";
import { Seal, sealsOf } from "@passt-ts/linux/memory-file";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { MemoryRegion } from "@passt-ts/vhost-user-proto/payload";
import type { ReceivedFds } from "./received-fds.ts";

/** Offsets are rounded down to this, a multiple of every page size of x86-64 and arm64. */
const OFFSET_ALIGNMENT = 65536;

/** More places in a region than drivers have rings; a front-end that names new ones for ever is refused. */
const OWN_VIEWS_MAX = 1024;

/** The most regions that there may be at once: what a front-end is told (GET_MAX_MEM_SLOTS). */
export const MEMORY_SLOTS = 512;

/**
 * The most windows of one guest's memory: 4 TiB. A sparse file costs its owner nothing, whatever its length, but each
 * window costs us; and two tables and the back-end's own windows have to find room in one table of windows.
 */
export const MEMORY_WINDOWS_MAX = 4096;

interface MappedRegion extends Region {
  readonly mapping: MappedMemory;
  /** Bytes of the mapping before the first one of the region. */
  readonly leadBytes: number;
  readonly sealed: boolean;
  /** Views of ring parts that no window serves, made once: each lives as long as the mapping. */
  readonly ownViews: Map<string, Uint8Array>;
}

/**
 * A memory table that is mapped: translation for the rings, views of ring parts, one owner for all of it.
 *
 * A table does not change. One with a region more or less shares the mappings of the others: it takes the place of the
 * old table, of which then only the region that went is released.
 */
export class MemoryMap {
  readonly memory: GuestMemory;
  /** Guest address of the first byte of each window, by window; 0 where a window is none of this memory. */
  readonly windowAddresses: Float64Array;
  /** Whether every file is sealed against being cut. */
  readonly sealed: boolean;
  readonly #windows: WindowTable;
  readonly #windowBytes: number;
  readonly #regions: readonly MappedRegion[];

  private constructor(windows: WindowTable, windowBytes: number, regions: readonly MappedRegion[]) {
    this.#windows = windows;
    this.#windowBytes = windowBytes;
    this.#regions = regions;
    this.memory = new GuestMemory(windows, regions);
    this.sealed = regions.every((region) => region.sealed);
    this.windowAddresses = new Float64Array(windows.bytes.length);
    for (const region of regions) {
      for (const [i, window] of region.windows.entries()) {
        this.windowAddresses[window] = region.guestAddress + i * windowBytes;
      }
    }
  }

  /**
   * Maps the regions of a table; file `i` of `fds` belongs to region `i` and is only borrowed.
   *
   * @param windowBytesMax the size that mappings are cut to.
   * @throws VhostUserError, SystemError or RegionError, and nothing is left mapped.
   */
  static open(
    windows: WindowTable,
    regions: readonly MemoryRegion[],
    fds: ReceivedFds,
    windowBytesMax: number,
  ): MemoryMap {
    const ranges = regions.map(rangeOf);
    checkRegions(ranges);
    checkWindows(ranges, windowBytesMax);
    const mapped: MappedRegion[] = [];
    try {
      for (const [i, range] of ranges.entries()) {
        mapped.push(mapRegion(windows, range, regions[i], fds.borrow(i), windowBytesMax));
      }
      return new MemoryMap(windows, windowBytesMax, mapped);
    } catch (error) {
      for (const region of mapped) unmapRegion(windows, region);
      throw error;
    }
  }

  /**
   * This table and one more region, whose file is only borrowed.
   *
   * @throws VhostUserError, SystemError or RegionError, and nothing has changed.
   */
  withRegion(region: MemoryRegion, fd: number): MemoryMap {
    if (this.#regions.length === MEMORY_SLOTS) {
      throw new VhostUserError("BAD_MEMORY", `more than ${MEMORY_SLOTS} memory regions`);
    }
    const range = rangeOf(region);
    checkRegions([...this.#regions, range]);
    checkWindows([...this.#regions, range], this.#windowBytes);
    const mapped = mapRegion(this.#windows, range, region, fd, this.#windowBytes);
    try {
      return new MemoryMap(this.#windows, this.#windowBytes, [...this.#regions, mapped]);
    } catch (error) {
      unmapRegion(this.#windows, mapped);
      throw error;
    }
  }

  /**
   * This table without the region that has these addresses and this size, which stays mapped until it is released.
   *
   * @throws VhostUserError BAD_MEMORY when there is none.
   */
  withoutRegion(region: MemoryRegion): MemoryMap {
    const at = this.#indexOf(region);
    if (at < 0) throw new VhostUserError("BAD_MEMORY", "no such memory region");
    return new MemoryMap(this.#windows, this.#windowBytes, this.#regions.toSpliced(at, 1));
  }

  /** Unmaps the one region of this table that its successor does not have. Nothing may use it any more. */
  release(region: MemoryRegion): void {
    const at = this.#indexOf(region);
    if (at >= 0) unmapRegion(this.#windows, this.#regions[at]);
  }

  #indexOf({ guestAddress, userAddress, sizeBytes }: MemoryRegion): number {
    return this.#regions.findIndex(
      (each) =>
        BigInt(each.guestAddress) === guestAddress &&
        BigInt(each.userAddress) === userAddress &&
        BigInt(each.sizeBytes) === sizeBytes,
    );
  }

  /** The guest address of the `lengthBytes` bytes at a front-end address, or null when they are not in one region. */
  guestAddressOf(userAddress: bigint, lengthBytes: number): number | null {
    const location = this.memory.locateUser(Number(userAddress), lengthBytes);
    return location === null ? null : location.region.guestAddress + location.offset;
  }

  /** The end of the highest region, in guest addresses. */
  get endAddress(): number {
    return this.#regions.reduce((end, region) => Math.max(end, region.guestAddress + region.sizeBytes), 0);
  }

  /**
   * The `lengthBytes` bytes at a front-end address, or null when they do not lie in one region, or not at a multiple of
   * `alignmentBytes` in the front-end's memory and in ours. The view is lent until {@link MemoryMap.close}, which
   * detaches it.
   */
  view(userAddress: bigint, lengthBytes: number, alignmentBytes: number): Uint8Array | null {
    const location = this.memory.locateUser(Number(userAddress), lengthBytes);
    if (location === null || Number(userAddress) % alignmentBytes !== 0) return null;
    const region = location.region as MappedRegion;
    // An atomic access to a word that is misaligned in memory is a SIGBUS on arm64, whatever its offset in a view.
    if ((region.mapping.address + region.leadBytes + location.offset) % alignmentBytes !== 0) return null;
    const window = region.windows[Math.floor(location.offset / this.#windowBytes)];
    const bytes = this.#windows.bytes[window];
    const offset = location.offset % this.#windowBytes;
    if (offset + lengthBytes <= bytes.length && offset % alignmentBytes === 0)
      return bytes.subarray(offset, offset + lengthBytes);
    const key = `${userAddress}+${lengthBytes}`;
    let view = region.ownViews.get(key);
    if (view === undefined) {
      if (region.ownViews.size === OWN_VIEWS_MAX) return null;
      view = region.mapping.bytes(region.leadBytes + location.offset, lengthBytes);
      region.ownViews.set(key, view);
    }
    return view;
  }

  /** For logs: how many regions, and bytes in all. */
  get regionCount(): number {
    return this.#regions.length;
  }

  get sizeBytes(): number {
    return this.#regions.reduce((total, region) => total + region.sizeBytes, 0);
  }

  /** Takes the windows back, detaches every view, unmaps. No queue may use the memory any more. */
  close(): void {
    for (const region of this.#regions) unmapRegion(this.#windows, region);
  }
}

function rangeOf(region: MemoryRegion): RegionRange & { readonly mmapOffset: number } {
  return {
    guestAddress: Number(region.guestAddress),
    userAddress: Number(region.userAddress),
    sizeBytes: Number(region.sizeBytes),
    mmapOffset: Number(region.mmapOffset),
  };
}

/** @throws VhostUserError BAD_MEMORY for ranges that take more than {@link MEMORY_WINDOWS_MAX} windows. */
function checkWindows(ranges: readonly RegionRange[], windowBytesMax: number): void {
  const count = ranges.reduce((total, { sizeBytes }) => total + Math.ceil(sizeBytes / windowBytesMax), 0);
  if (count <= MEMORY_WINDOWS_MAX) return;
  const mib = Math.ceil(ranges.reduce((total, { sizeBytes }) => total + sizeBytes, 0) / 2 ** 20);
  throw new VhostUserError(
    "BAD_MEMORY",
    `guest memory of ${mib} MiB takes ${count} windows, at most ${MEMORY_WINDOWS_MAX}`,
  );
}

function mapRegion(
  windows: WindowTable,
  range: ReturnType<typeof rangeOf>,
  region: MemoryRegion,
  fd: number,
  windowBytesMax: number,
): MappedRegion {
  const status = fileStatus(fd);
  if (!isRegularFile(status)) throw new VhostUserError("BAD_MEMORY", "guest memory that is not a file");
  // Compared as BigInt: rounding must not make a file look long enough.
  if (region.mmapOffset + region.sizeBytes > BigInt(status.sizeBytes)) {
    throw new VhostUserError(
      "BAD_MEMORY",
      `a region ends at byte ${region.mmapOffset + region.sizeBytes} of a file of ${status.sizeBytes} bytes`,
    );
  }
  // st_blksize is the page size on hugetlbfs, where offset and length must be multiples of it.
  const alignment = Math.max(OFFSET_ALIGNMENT, status.blockBytes);
  const leadBytes = range.mmapOffset % alignment;
  const mapping = mapFile({
    fd,
    offset: range.mmapOffset - leadBytes,
    lengthBytes: leadBytes + range.sizeBytes,
    blockBytes: Math.max(1, status.blockBytes),
  });
  const added: number[] = [];
  try {
    let offset = leadBytes;
    for (const sizeBytes of cutIntoWindows(range.sizeBytes, windowBytesMax)) {
      added.push(windows.add(mapping.bytes(offset, sizeBytes), mapping.address + offset));
      offset += sizeBytes;
    }
  } catch (error) {
    for (const window of added) windows.remove(window);
    mapping.close();
    throw error;
  }
  const seals = sealsOf(fd);
  const sealed = seals >= 0 && (seals & Seal.shrink) !== 0;
  return { ...range, windows: added, mapping, leadBytes, sealed, ownViews: new Map() };
}

function unmapRegion(windows: WindowTable, region: MappedRegion): void {
  for (const window of region.windows) windows.remove(window);
  region.ownViews.clear();
  region.mapping.close();
}
