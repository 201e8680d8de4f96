import type { Iov } from "@passt-ts/iov/iov";
import { NativeBuffer } from "./native-buffer.ts";
import { Errno } from "./system-error.ts";

/** Entries that one system call takes (UIO_MAXIOV): with one more it fails with EMSGSIZE. */
export const CALL_ENTRIES_MAX = 1024;

/** Words of a struct iovec: address (64 bits), length (64 bits). */
const ENTRY_WORDS = 4;
const WORD_RANGE = 0x1_0000_0000;

/**
 * A native `struct iovec` table, filled just before a system call.
 *
 * The kernel writes wherever an entry points, so each is checked against the window's present bytes once more: an entry
 * that is stale, out of range or in a window without an address is refused with -EFAULT.
 */
export class IovecTable {
  readonly capacity: number;
  readonly address: number;
  readonly #native: NativeBuffer;
  /** Entries in use. */
  count = 0;

  constructor(capacity: number = CALL_ENTRIES_MAX) {
    this.capacity = capacity;
    this.#native = new NativeBuffer(capacity * ENTRY_WORDS * 4);
    this.address = this.#native.address;
  }

  /** The native address of entry `entry`. */
  addressOf(entry: number): number {
    return this.address + entry * ENTRY_WORDS * 4;
  }

  /** Appends one entry of memory that the caller vouches for; false when the table is full. */
  appendNative(address: number, lengthBytes: number): boolean {
    const entry = this.count;
    if (entry === this.capacity) return false;
    const { words } = this.#native;
    const at = entry * ENTRY_WORDS;
    words[at] = address;
    words[at + 1] = address / WORD_RANGE;
    words[at + 2] = lengthBytes;
    words[at + 3] = 0;
    this.count = entry + 1;
    return true;
  }

  /**
   * Appends the entries that cover `lengthBytes` bytes of `iov` from `offset` on, empty ones left out.
   *
   * Returns the bytes covered: fewer when the list ends earlier or the table is full. -EFAULT, and nothing appended,
   * when an entry points outside its window.
   */
  append(iov: Iov, offset: number, lengthBytes: number): number {
    const { window, offset: offsets, length, windows } = iov.pool;
    const { bytes, addresses } = windows;
    const { words } = this.#native;
    const end = iov.first + iov.count;
    let entry = this.count;
    let left = lengthBytes;
    for (let i = iov.first; i < end && left > 0; i++) {
      const entryBytes = length[i];
      if (offset >= entryBytes) {
        offset -= entryBytes;
        continue;
      }
      if (entry === this.capacity) break;
      const take = Math.min(left, entryBytes - offset);
      const from = offsets[i] + offset;
      const base = addresses[window[i]];
      // A removed window has no bytes; an index that never was a window has no address.
      if (!(base > 0) || from < 0 || from + take > bytes[window[i]].length) return -Errno.EFAULT;
      const address = base + from;
      const at = entry * ENTRY_WORDS;
      words[at] = address;
      words[at + 1] = address / WORD_RANGE;
      words[at + 2] = take;
      words[at + 3] = 0;
      entry++;
      left -= take;
      offset = 0;
    }
    this.count = entry;
    return lengthBytes > left ? lengthBytes - left : 0;
  }
}
