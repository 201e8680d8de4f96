/** A range of guest memory as the front-end names it; all numbers are bytes and exact (below 2^53). */
export interface RegionRange {
  /** Guest physical address of the first byte: what descriptors hold. */
  readonly guestAddress: number;
  /** The same byte in the front-end's own address space: what ring addresses are given in. */
  readonly userAddress: number;
  readonly sizeBytes: number;
}

/** A region that its owner has mapped. The owner keeps the mapping until no table and no ring names it any more. */
export interface Region extends RegionRange {
  /** Indices of the windows that hold its bytes, first byte first; together exactly `sizeBytes` long. */
  readonly windows: readonly number[];
}

/** Why a set of regions was refused. */
export type RegionErrorCode = "REGION_EMPTY" | "REGION_RANGE" | "REGION_OVERLAP" | "REGION_WINDOWS";

/** A set of regions that cannot be a memory table. */
export class RegionError extends Error {
  readonly code: RegionErrorCode;

  constructor(code: RegionErrorCode, message: string) {
    super(message);
    this.name = "RegionError";
    this.code = code;
  }
}

/**
 * Checks that the ranges could be one memory table, before anything is mapped: none is empty, none ends above 2^53 - 1
 * in either address space, and no guest address belongs to two of them.
 *
 * User addresses may overlap: one piece of memory may appear twice in a guest.
 *
 * @throws RegionError that names the first range at fault.
 */
export function checkRegions(regions: readonly RegionRange[]): void {
  for (const { guestAddress, userAddress, sizeBytes } of regions) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
      throw new RegionError("REGION_EMPTY", `a region of ${sizeBytes} bytes`);
    }
    if (!isRange(guestAddress, sizeBytes)) throw outOfRange("guest", guestAddress, sizeBytes);
    if (!isRange(userAddress, sizeBytes)) throw outOfRange("user", userAddress, sizeBytes);
  }
  const sorted = regions.toSorted((a, b) => a.guestAddress - b.guestAddress);
  for (let i = 1; i < sorted.length; i++) {
    const below = sorted[i - 1];
    if (below.guestAddress + below.sizeBytes > sorted[i].guestAddress) {
      throw new RegionError(
        "REGION_OVERLAP",
        `regions at guest addresses ${hex(below.guestAddress)} and ${hex(sorted[i].guestAddress)} overlap`,
      );
    }
  }
}

function isRange(address: number, sizeBytes: number): boolean {
  return Number.isSafeInteger(address) && address >= 0 && sizeBytes <= Number.MAX_SAFE_INTEGER - address;
}

function outOfRange(space: string, address: number, sizeBytes: number): RegionError {
  return new RegionError("REGION_RANGE", `a region of ${sizeBytes} bytes at ${space} address ${hex(address)}`);
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
