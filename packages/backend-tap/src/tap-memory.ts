import type { WindowTable } from "@passt-ts/iov/windows";
import { type MappedMemory, mapAnonymous } from "@passt-ts/linux/mapped-memory";

/** Room for any frame: the longest is 65550 bytes, and one tag more. */
export const TAP_FRAME_BYTES = 65600;

/** Frames that may wait for the host, and the bytes of all of them. */
export const WAITING_FRAMES_MAX = 256;
const WAITING_BYTES: number = 4 * 1024 * 1024;

/** The back-end's own memory, one window: a place for one frame each way, and one for frames that wait. */
export class TapMemory {
  readonly windows: WindowTable;
  readonly window: number;
  readonly receiveAt: number = 0;
  readonly sendAt: number = TAP_FRAME_BYTES;
  readonly waitingAt: number = 2 * TAP_FRAME_BYTES;
  readonly waitingBytes: number = WAITING_BYTES;
  readonly #mapping: MappedMemory;

  /** @throws SystemError */
  constructor(windows: WindowTable) {
    this.windows = windows;
    const bytes = this.waitingAt + WAITING_BYTES;
    // Mapped, not allocated: pages that no frame ever waited in cost nothing.
    this.#mapping = mapAnonymous(bytes);
    this.window = windows.add(this.#mapping.bytes(0, bytes), this.#mapping.address);
  }

  close(): void {
    this.windows.remove(this.window);
    this.#mapping.close();
  }
}
