import { DESCRIPTOR_BYTES, QUEUE_SIZE_MAX } from "./descriptor.ts";

/** The available ring's words of 16 bits before its entries; `used_event` follows the entries. */
export const Available = { flags: 0, index: 1, ring: 2 } as const;

/** The used ring's words of 16 bits before its elements; `avail_event` follows the elements. */
export const Used = { flags: 0, index: 1 } as const;

/** The one bit of the available ring's flags: no used buffer notifications, please. */
export const NO_INTERRUPT = 1;

/** The one bit of the used ring's flags: no available buffer notifications (kicks), please. */
export const NO_NOTIFY = 1;

/**
 * The memory of a split virtqueue as views. Whoever made the views keeps the memory mapped while a queue uses them.
 *
 * The words are little-endian (virtio 1.x), so is every machine this runs on.
 */
export interface SplitRing {
  /** Descriptors in the table: a power of two. */
  readonly size: number;
  /** Four words each: address low, address high, length, flags and next. */
  readonly descriptors: Uint32Array;
  /** flags, idx, `size` heads, used_event. */
  readonly available: Uint16Array;
  /** flags, idx, `size` elements of four words, avail_event. */
  readonly used: Uint16Array;
  /** The elements of the used ring: two words each, id and length. */
  readonly usedElements: Uint32Array;
}

/** Says whether a split virtqueue may have `size` descriptors: a power of two up to {@link QUEUE_SIZE_MAX}. */
export function isQueueSize(size: number): boolean {
  return Number.isInteger(size) && size >= 1 && size <= QUEUE_SIZE_MAX && (size & (size - 1)) === 0;
}

/** Bytes of the descriptor table; it begins at a multiple of 16. */
export function descriptorTableBytes(size: number): number {
  return DESCRIPTOR_BYTES * size;
}

/** Bytes of the available ring with `used_event`; it begins at a multiple of 2. */
export function availableRingBytes(size: number): number {
  return 6 + 2 * size;
}

/** Bytes of the used ring with `avail_event`; it begins at a multiple of 4. */
export function usedRingBytes(size: number): number {
  return 6 + 8 * size;
}

/**
 * Makes the views of a split virtqueue from its three parts, each of which may lie anywhere.
 *
 * @param descriptors at least {@link descriptorTableBytes} bytes; so for the other two. Longer ones are not used up.
 * @throws RangeError for a size that no split virtqueue has, and for a part that is too short or not aligned in its
 *   buffer to 4 bytes (descriptors, used) or 2 (available).
 */
export function splitRing(size: number, descriptors: Uint8Array, available: Uint8Array, used: Uint8Array): SplitRing {
  if (!isQueueSize(size)) throw new RangeError(`a split virtqueue of ${size} descriptors`);
  checkPart("descriptor table", descriptors, descriptorTableBytes(size), 4);
  checkPart("available ring", available, availableRingBytes(size), 2);
  checkPart("used ring", used, usedRingBytes(size), 4);
  return {
    size,
    descriptors: new Uint32Array(descriptors.buffer, descriptors.byteOffset, 4 * size),
    available: new Uint16Array(available.buffer, available.byteOffset, 3 + size),
    used: new Uint16Array(used.buffer, used.byteOffset, 3 + 4 * size),
    usedElements: new Uint32Array(used.buffer, used.byteOffset + 4, 2 * size),
  };
}

function checkPart(name: string, bytes: Uint8Array, lengthBytes: number, alignment: number): void {
  if (bytes.length < lengthBytes) throw new RangeError(`a ${name} of ${bytes.length} bytes, not ${lengthBytes}`);
  if (bytes.byteOffset % alignment !== 0) throw new RangeError(`a ${name} at a multiple of less than ${alignment}`);
}
