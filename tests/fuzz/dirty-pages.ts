// A dirty log as a front-end has it, and the question whether it tells of all that was changed.

import { type MappedMemory, mapFile } from "@passt-ts/linux/mapped-memory";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import type { GuestRam, RamRegion } from "@passt-ts/vhost-user-device/testing/guest-ram";
import type { LogArea } from "@passt-ts/vhost-user-proto/payload";

const PAGE = 4096;

export class DirtyPages implements Disposable {
  readonly file: OwnedFd;
  readonly area: LogArea;
  readonly #mapping: MappedMemory;
  readonly #bits: Uint8Array;
  readonly #ram: GuestRam;

  /** A log that covers all regions of the memory. */
  constructor(ram: GuestRam) {
    const end = Math.max(...ram.regions.map(({ guestAddress, sizeBytes }) => guestAddress + sizeBytes));
    const lengthBytes = Math.ceil(end / PAGE / 8);
    this.#ram = ram;
    this.file = createMemoryFile("dirty-log", lengthBytes);
    this.area = { sizeBytes: BigInt(lengthBytes), mmapOffset: 0n };
    this.#mapping = mapFile({ fd: this.file.fd, offset: 0, lengthBytes });
    this.#bits = this.#mapping.bytes(0, lengthBytes);
  }

  /**
   * Does something, and returns the first page of the memory that changed and is not said to be dirty; -1 when there is none.
   *
   * @param from what lies before this offset in the memory is not looked at.
   * @param before room for as many bytes as the memory has.
   */
  unmarkedPage(from: number, before: Uint8Array, act: () => void): number {
    const { bytes, regions } = this.#ram;
    before.set(bytes);
    this.#clear();
    act();
    for (const region of regions) {
      const at = this.#unmarkedIn(region, before, from);
      if (at >= 0) return at;
    }
    return -1;
  }

  #clear(): void {
    for (const { guestAddress, sizeBytes } of this.#ram.regions) {
      const first = Math.floor(guestAddress / PAGE / 8);
      this.#bits.fill(0, first, Math.floor((guestAddress + sizeBytes - 1) / PAGE / 8) + 1);
    }
  }

  #unmarkedIn({ guestAddress, fileOffset, sizeBytes }: RamRegion, before: Uint8Array, from: number): number {
    const { bytes } = this.#ram;
    const end = fileOffset + sizeBytes;
    let at = Math.max(fileOffset, from);
    while (at < end) {
      const address = guestAddress + at - fileOffset;
      const page = Math.floor(address / PAGE);
      const next = Math.min(end, at + (page + 1) * PAGE - address);
      const isMarked = (this.#bits[Math.floor(page / 8)] & (1 << (page % 8))) !== 0;
      if (!isMarked && Buffer.compare(before.subarray(at, next), bytes.subarray(at, next)) !== 0) return at;
      at = next;
    }
    return -1;
  }

  [Symbol.dispose](): void {
    this.#mapping.close();
    this.file.close();
  }
}
