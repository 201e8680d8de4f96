import { type MappedMemory, mapFile } from "@passt-ts/linux/mapped-memory";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import type { MemoryRegion } from "@passt-ts/vhost-user-proto/payload";

/** A piece of the memory file as guest and front-end see it. */
export interface RamRegion {
  readonly guestAddress: number;
  readonly userAddress: number;
  readonly fileOffset: number;
  readonly sizeBytes: number;
}

/** What memory holds that nobody wrote. */
export const POISON: 0xa5 = 0xa5;

/** A memory file larger than what is mapped of it here: `mappedAt` is where that begins. */
export interface SparseFile {
  readonly sizeBytes: number;
  /** A multiple of the page size. */
  readonly mappedAt: number;
}

/**
 * The memory of a pretended guest: one memory file, mapped here, cut into regions. Offsets are those of what is mapped:
 * file offsets, unless the file is sparse.
 */
export class GuestRam implements Disposable {
  readonly file: OwnedFd;
  readonly bytes: Uint8Array;
  readonly regions: readonly RamRegion[];
  readonly #mapping: MappedMemory;
  readonly #mappedAt: number;
  readonly #free: Map<number, number[]> = new Map();
  #end: number;

  /**
   * @param regions default: one, at guest address 1 GiB.
   * @param reservedBytes bytes at the beginning that are not given out: rings.
   * @param file default: as long as what is mapped.
   */
  constructor(sizeBytes: number, reservedBytes: number, regions?: readonly RamRegion[], file?: SparseFile) {
    this.#mappedAt = file?.mappedAt ?? 0;
    this.file = createMemoryFile("guest-ram", file?.sizeBytes ?? sizeBytes);
    this.#mapping = mapFile({ fd: this.file.fd, offset: this.#mappedAt, lengthBytes: sizeBytes });
    this.bytes = this.#mapping.bytes(0, sizeBytes);
    this.regions = regions ?? [{ guestAddress: 0x4000_0000, userAddress: 0x7f12_3400_0000, fileOffset: 0, sizeBytes }];
    this.#end = reservedBytes;
  }

  /** The regions as they are sent to a back-end. */
  get table(): MemoryRegion[] {
    return this.regions.map((region) => ({
      guestAddress: BigInt(region.guestAddress),
      sizeBytes: BigInt(region.sizeBytes),
      userAddress: BigInt(region.userAddress),
      mmapOffset: BigInt(region.fileOffset),
    }));
  }

  guestAddress(offset: number): number {
    const region = this.#regionAt(this.#mappedAt + offset);
    return region.guestAddress + this.#mappedAt + offset - region.fileOffset;
  }

  userAddress(offset: number): bigint {
    const region = this.#regionAt(this.#mappedAt + offset);
    return BigInt(region.userAddress + this.#mappedAt + offset - region.fileOffset);
  }

  #regionAt(fileOffset: number): RamRegion {
    const region = this.regions.find((r) => fileOffset >= r.fileOffset && fileOffset < r.fileOffset + r.sizeBytes);
    if (region === undefined) throw new RangeError(`no region holds file offset ${fileOffset}`);
    return region;
  }

  /** Finds `sizeBytes` bytes of poison. @throws RangeError when the memory is used up. */
  allocate(sizeBytes: number): number {
    const rounded = (sizeBytes + 63) & ~63;
    let at = this.#free.get(rounded)?.pop();
    if (at === undefined) {
      at = this.#end;
      if (at + rounded > this.bytes.length) throw new RangeError("the guest's memory is used up");
      this.#end += rounded;
    }
    this.bytes.fill(POISON, at, at + rounded);
    return at;
  }

  /** Gives back what {@link GuestRam.allocate} found. */
  release(at: number, sizeBytes: number): void {
    const rounded = (sizeBytes + 63) & ~63;
    const list = this.#free.get(rounded);
    if (list === undefined) this.#free.set(rounded, [at]);
    else list.push(at);
  }

  [Symbol.dispose](): void {
    this.#mapping.close();
    this.file.close();
  }
}
