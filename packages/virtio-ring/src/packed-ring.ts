import { DESCRIPTOR_BYTES, DescriptorFlag, QUEUE_SIZE_MAX } from "./descriptor.ts";

/** Bytes of an event suppression structure (virtio 1.3, 2.8.14). */
export const EVENT_SUPPRESSION_BYTES = 4;

/** Where both sides begin in a new ring: at offset 0, with a wrap counter of 1. */
export const PACKED_RING_START = 0x8000;

/** Both flags by which descriptors change hands. */
export const OWNERSHIP_FLAGS: number = DescriptorFlag.available | DescriptorFlag.used;

/** Flags of an event suppression structure. */
export const EventFlags = { enable: 0, disable: 1, descriptor: 2 } as const;

/**
 * The memory of a packed virtqueue as views. Whoever made the views keeps the memory mapped while a queue uses them.
 *
 * The words are little-endian (virtio 1.x), so is every machine this runs on.
 */
export interface PackedRing {
  /** Descriptors in the ring: any number up to {@link QUEUE_SIZE_MAX}. */
  readonly size: number;
  /** Four words each: address low, address high, length, id and flags. */
  readonly descriptors: Uint32Array;
  /** One word, written by the driver: offset (15 bits) and wrap counter of the descriptor waited for, and flags. */
  readonly driverEvent: Uint32Array;
  /** The same, written by the device. */
  readonly deviceEvent: Uint32Array;
}

/** Says whether a packed virtqueue may have `size` descriptors. */
export function isPackedQueueSize(size: number): boolean {
  return Number.isInteger(size) && size >= 1 && size <= QUEUE_SIZE_MAX;
}

/** Says whether `position`, an offset with a wrap counter in bit 15, lies in a ring of `size` descriptors. */
export function isPackedPosition(position: number, size: number): boolean {
  return Number.isInteger(position) && position >= 0 && position <= 0xffff && (position & 0x7fff) < size;
}

/**
 * Says whether no descriptor of the ring was ever used. Nobody can have come round to offset 0 with a wrap counter of 0
 * in such a ring: in the lap before, at least one descriptor was marked used.
 */
export function isUntouched(ring: PackedRing): boolean {
  for (let i = 0; i < ring.size; i++) {
    if (((Atomics.load(ring.descriptors, i * 4 + 3) >>> 16) & DescriptorFlag.used) !== 0) return false;
  }
  return true;
}

/** Flags of a descriptor made available in a lap of the ring with this wrap counter (virtio 1.3, 2.8.1). */
export function availableFlags(wrap: number): number {
  return wrap === 1 ? DescriptorFlag.available : DescriptorFlag.used;
}

/** Flags of a descriptor used in a lap of the ring with this wrap counter. */
export function usedFlags(wrap: number): number {
  return wrap === 1 ? OWNERSHIP_FLAGS : 0;
}

/**
 * Makes the views of a packed virtqueue from its three parts, each of which may lie anywhere.
 *
 * @param descriptors at least 16 bytes for each descriptor; the other two {@link EVENT_SUPPRESSION_BYTES}.
 * @throws RangeError for a size that no packed virtqueue has, and for a part that is too short or not aligned in its
 *   buffer to 4 bytes.
 */
export function packedRing(
  size: number,
  descriptors: Uint8Array,
  driverEvent: Uint8Array,
  deviceEvent: Uint8Array,
): PackedRing {
  if (!isPackedQueueSize(size)) throw new RangeError(`a packed virtqueue of ${size} descriptors`);
  return {
    size,
    descriptors: wordsOf("descriptor ring", descriptors, DESCRIPTOR_BYTES * size),
    driverEvent: wordsOf("driver event suppression", driverEvent, EVENT_SUPPRESSION_BYTES),
    deviceEvent: wordsOf("device event suppression", deviceEvent, EVENT_SUPPRESSION_BYTES),
  };
}

function wordsOf(name: string, bytes: Uint8Array, lengthBytes: number): Uint32Array {
  if (bytes.length < lengthBytes) throw new RangeError(`a ${name} of ${bytes.length} bytes, not ${lengthBytes}`);
  if (bytes.byteOffset % 4 !== 0) throw new RangeError(`a ${name} at a multiple of less than 4`);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, lengthBytes / 4);
}

/**
 * Says whether the other side of a packed ring wants to be told of the `passed` descriptors that end before `position`:
 * it wants to hear of any, or of one of these (virtio 1.3, 2.8.10).
 *
 * @param event the word of the other side's event suppression structure, as loaded once.
 * @param eventIndex VIRTIO_F_EVENT_IDX was negotiated.
 * @param position offset, with the wrap counter in bit 15.
 */
export function wantsEvent(
  event: number,
  eventIndex: boolean,
  size: number,
  position: number,
  passed: number,
): boolean {
  const flags = (event >>> 16) & 3;
  if (flags === EventFlags.disable) return false;
  // What makes no sense counts as the wish to hear of all: an event too many does no harm.
  if (flags !== EventFlags.descriptor || !eventIndex) return true;
  const laps = 2 * size;
  if (passed >= laps || (event & 0x7fff) >= size) return true;
  const behind = (indexOf(position, size) - indexOf(event, size) + laps) % laps;
  return behind >= 1 && behind <= passed;
}

/** Counts descriptors over two laps, after which offset and wrap counter are the same again. */
function indexOf(position: number, size: number): number {
  return (position & 0x7fff) + ((position & 0x8000) !== 0 ? 0 : size);
}
