import type { WindowTable } from "@passt-ts/iov/windows";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";

/** Room for the longest virtio-net header, and a frame of the shortest length there is. */
const HEADER_BYTES = 12;
const FRAME_BYTES = 60;

/** Ethernet and RARP (RFC 903): a request about the address of who asks, as everybody sends it who wants to be seen. */
const ETHERTYPE_RARP = [0x80, 0x35] as const;
const RARP_REQUEST = [0, 1, 0x08, 0x00, 6, 4, 0, 3] as const;

/**
 * The frame that tells switches where a guest is now (SEND_RARP). It goes the way of the guest's own frames, as if the
 * guest had sent it: only what carries them knows the network.
 */
export class Announcement {
  readonly #windows: WindowTable;
  #window: number;
  readonly #memory: NativeBuffer = new NativeBuffer(HEADER_BYTES + FRAME_BYTES);
  readonly #batch: FrameBatch;
  #due = false;

  /** @param windows the back-end's table, in which the frame has a window until {@link Announcement.close}. */
  constructor(windows: WindowTable) {
    this.#windows = windows;
    this.#window = windows.add(this.#memory.bytes, this.#memory.address);
    this.#batch = new FrameBatch(windows, 1, 1);
  }

  /** Wants the guest with this MAC address of 6 bytes to be announced in the next round. */
  request(macAddress: Uint8Array): void {
    const frame = this.#memory.bytes.subarray(HEADER_BYTES).fill(0);
    frame.fill(0xff, 0, 6);
    frame.set(macAddress, 6);
    frame.set(ETHERTYPE_RARP, 12);
    frame.set(RARP_REQUEST, 14);
    frame.set(macAddress, 22);
    frame.set(macAddress, 32);
    this.#due = true;
  }

  /** Nobody is to be announced any more. */
  cancel(): void {
    this.#due = false;
  }

  /** Sends what is due, unless the back-end is full: then it stays due. */
  turn(backend: NetBackend, headerLength: number, nowMs: number): void {
    if (!this.#due || backend.full === true) return;
    this.#due = false;
    const batch = this.#batch;
    batch.clear();
    batch.pool.append(this.#window, HEADER_BYTES - headerLength, headerLength + FRAME_BYTES);
    batch.firstEntry[0] = 0;
    batch.entryCount[0] = 1;
    batch.offset[0] = headerLength;
    batch.length[0] = FRAME_BYTES;
    batch.clearOffload(0);
    batch.count = 1;
    backend.send(batch, 1, nowMs);
  }

  /** Takes the window back; nothing is sent any more. Later calls do nothing. */
  close(): void {
    this.#due = false;
    if (this.#window >= 0) this.#windows.remove(this.#window);
    this.#window = -1;
  }
}
