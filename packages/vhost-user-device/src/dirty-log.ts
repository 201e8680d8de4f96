import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { LogArea } from "@passt-ts/vhost-user-proto/payload";
import { SharedFile } from "./shared-file.ts";

/** Bytes that one bit of the log stands for (vhost-user, "Migration": VHOST_LOG_PAGE). */
const LOG_PAGE_BYTES = 4096;

/**
 * The front-end's log of what changes in guest memory: a bit for each page, from guest address 0 on. The front-end reads
 * and clears it at the same time, so bits are set atomically, after the write that they tell of.
 *
 * Trust: the front-end chose the file and its length. What lies behind the end is not logged, only counted.
 */
export class DirtyLog implements Disposable {
  /** Bits were set since the owner cleared this. */
  changed = false;
  /** Pages that the log has no bit for. */
  missed = 0;
  readonly #file: SharedFile;
  readonly #bits: Uint8Array;

  /** @throws VhostUserError, SystemError; the descriptor is only borrowed. */
  constructor(fd: number, area: LogArea) {
    this.#file = new SharedFile("a dirty log", fd, area.mmapOffset, area.sizeBytes);
    this.#bits = this.#file.bytes;
  }

  /** The first guest address that it has no bit for. */
  get endAddress(): number {
    return this.#bits.length * 8 * LOG_PAGE_BYTES;
  }

  /** @throws VhostUserError BAD_VALUE when it has no bit for some address below `endAddress`. */
  checkCovers(endAddress: number): void {
    if (endAddress <= this.endAddress) return;
    throw new VhostUserError(
      "BAD_VALUE",
      `a dirty log of ${this.#bits.length} bytes for guest memory up to 0x${endAddress.toString(16)}`,
    );
  }

  /** Marks the pages of `lengthBytes` bytes at a guest address. */
  mark(guestAddress: number, lengthBytes: number): void {
    if (lengthBytes <= 0) return;
    const bits = this.#bits;
    const last = Math.floor((guestAddress + lengthBytes - 1) / LOG_PAGE_BYTES);
    for (let page = Math.floor(guestAddress / LOG_PAGE_BYTES); page <= last; page++) {
      const at = Math.floor(page / 8);
      if (at >= bits.length) {
        this.missed += last - page + 1;
        break;
      }
      Atomics.or(bits, at, 1 << (page % 8));
    }
    this.changed = true;
  }

  /** Unmaps it; a later mark throws. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
