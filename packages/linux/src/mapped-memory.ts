/**
 * Memory that the kernel maps for us: guest memory shared by descriptor, and scratch of our own.
 *
 * Trust: shared memory is written by another process at any time. A file that is cut while it is mapped ends this
 * process with SIGBUS; compare the file's size with what you map, and see whether it is sealed against shrinking.
 */
import { toArrayBuffer } from "bun:ffi";
import { WINDOW_BYTES_MAX } from "@passt-ts/iov/windows";
import { lastErrno, libc } from "./libc.ts";
import { orThrow, SystemError } from "./system-error.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;

/** What to map of a file. */
export interface FileMapping {
  readonly fd: number;
  /** A multiple of the page size (of the huge page on hugetlbfs). */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Default true. */
  readonly writable?: boolean;
  /** The file's st_blksize when it is on hugetlbfs: the length is rounded up to it for the kernel. */
  readonly blockBytes?: number;
}

/** A mapping, and the views of it that were handed out. */
export class MappedMemory implements Disposable {
  readonly lengthBytes: number;
  readonly #mappedBytes: number;
  #address: number;
  #buffers: ArrayBuffer[] = [];

  /**
   * Takes over the mapping of `mappedBytes` bytes at `address`, of which `lengthBytes` may be used; for callers there
   * are {@link mapFile} and {@link mapAnonymous}.
   */
  constructor(address: number, lengthBytes: number, mappedBytes: number) {
    this.#address = address;
    this.#mappedBytes = mappedBytes;
    this.lengthBytes = lengthBytes;
  }

  /** The native address of the first byte; 0 when closed. */
  get address(): number {
    return this.#address;
  }

  /**
   * The bytes from `offset` on, at most 1 GiB at once, over a buffer of their own: its byteOffset is 0 and other views
   * may be made of its `buffer`. Borrowed until {@link MappedMemory.close}; then its length is 0.
   *
   * @throws RangeError when the range does not lie inside the mapping, or the mapping is closed.
   */
  bytes(offset: number, lengthBytes: number): Uint8Array {
    if (this.#address === 0) throw new RangeError("the mapping is closed");
    if (
      !(offset >= 0 && lengthBytes > 0 && lengthBytes <= WINDOW_BYTES_MAX && offset + lengthBytes <= this.lengthBytes)
    ) {
      throw new RangeError(`no view of ${lengthBytes} bytes at ${offset} in a mapping of ${this.lengthBytes}`);
    }
    const buffer = toArrayBuffer(this.#address + offset, 0, lengthBytes);
    this.#buffers.push(buffer);
    return new Uint8Array(buffer);
  }

  /** Detaches every view handed out, so that a stale one reaches nothing, then unmaps. Later calls do nothing. */
  close(): void {
    const address = this.#address;
    if (address === 0) return;
    this.#address = 0;
    // transfer(0): a transfer of the whole length would leave a new buffer over the same memory behind.
    for (const buffer of this.#buffers) if (!buffer.detached) buffer.transfer(0);
    this.#buffers = [];
    orThrow(libc.munmap(address, this.#mappedBytes), "munmap");
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Maps a range of a file, shared with everybody who has it. @throws SystemError @throws RangeError */
export function mapFile(mapping: FileMapping): MappedMemory {
  const { fd, offset, lengthBytes, writable = true, blockBytes = 1 } = mapping;
  checkRange(offset, lengthBytes);
  const mappedBytes = Math.ceil(lengthBytes / blockBytes) * blockBytes;
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  return new MappedMemory(
    mapOrThrow(mappedBytes, protection, MAP_SHARED | MAP_NORESERVE, fd, offset),
    lengthBytes,
    mappedBytes,
  );
}

/** Maps zeroed memory of our own: page aligned, and its address stays. @throws SystemError @throws RangeError */
export function mapAnonymous(lengthBytes: number): MappedMemory {
  checkRange(0, lengthBytes);
  const address = mapOrThrow(lengthBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return new MappedMemory(address, lengthBytes, lengthBytes);
}

function checkRange(offset: number, lengthBytes: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(lengthBytes) || lengthBytes <= 0) {
    throw new RangeError(`cannot map ${lengthBytes} bytes at ${offset}`);
  }
}

function mapOrThrow(lengthBytes: number, protection: number, flags: number, fd: number, offset: number): number {
  const address = libc.mmap(0, lengthBytes, protection, flags, fd, offset);
  // MAP_FAILED is all ones, which no number holds.
  if (typeof address !== "number") throw new SystemError("mmap", lastErrno(), `${lengthBytes} bytes at ${offset}`);
  return address;
}
