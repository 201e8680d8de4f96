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

/** The memory of a pretended guest: one memory file, mapped here, cut into regions; addresses are file offsets. */
export class GuestRam implements Disposable {
  readonly file: OwnedFd;
  readonly bytes: Uint8Array;
  readonly regions: readonly RamRegion[];
  readonly #mapping: MappedMemory;
  readonly #free: Map<number, number[]> = new Map();
  #end: number;

  /**
   * @param regions default: one, at guest address 1 GiB.
   * @param reservedBytes bytes at the beginning that are not given out: rings.
   */
  constructor(sizeBytes: number, reservedBytes: number, regions?: readonly RamRegion[]) {
    this.file = createMemoryFile("guest-ram", sizeBytes);
    this.#mapping = mapFile({ fd: this.file.fd, offset: 0, lengthBytes: sizeBytes });
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

  guestAddress(fileOffset: number): number {
    const region = this.#regionAt(fileOffset);
    return region.guestAddress + fileOffset - region.fileOffset;
  }

  userAddress(fileOffset: number): bigint {
    const region = this.#regionAt(fileOffset);
    return BigInt(region.userAddress + fileOffset - region.fileOffset);
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
