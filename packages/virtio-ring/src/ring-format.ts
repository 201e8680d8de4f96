import type { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import { DESCRIPTOR_BYTES } from "./descriptor.ts";
import type { DeviceQueue } from "./device-queue.ts";
import { PackedDeviceQueue } from "./packed-device-queue.ts";
import {
  EVENT_SUPPRESSION_BYTES,
  isPackedPosition,
  isPackedQueueSize,
  isUntouched,
  PACKED_RING_START,
  packedRing,
} from "./packed-ring.ts";
import { SplitDeviceQueue } from "./split-device-queue.ts";
import { availableRingBytes, isQueueSize, splitRing, usedRingBytes } from "./split-ring.ts";

/** The three parts of a virtqueue (virtio 1.3, 2.6); whoever made the views keeps the memory mapped. */
export interface RingParts {
  /** The descriptor area. */
  readonly descriptors: Uint8Array;
  /** The driver area: available ring, or driver event suppression. */
  readonly driver: Uint8Array;
  /** The device area: used ring, or device event suppression. */
  readonly device: Uint8Array;
}

/** What a device's queue is made of, besides its parts. */
export interface DeviceQueueOptions {
  /** Where descriptors point. */
  readonly memory: GuestMemory;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated. */
  readonly inOrder: boolean;
  /** Where it goes on: {@link RingFormat.newRingBase}, or what `nextAvailable` of its predecessor was. */
  readonly startIndex: number;
}

/** What differs between the formats of virtqueues for whoever sets one up. All sizes and alignments are bytes. */
export interface RingFormat {
  readonly name: "split" | "packed";
  /** Base of a ring that nobody has used yet, as vhost-user counts bases. */
  readonly newRingBase: number;
  readonly descriptorAlignment: number;
  readonly driverAlignment: number;
  readonly deviceAlignment: number;

  /** Says whether a queue may have `size` descriptors. */
  isSize(size: number): boolean;

  /** Says whether a ring of `size` descriptors, which is a size, can go on at `base`. */
  isBase(base: number, size: number): boolean;

  descriptorBytes(size: number): number;
  driverBytes(size: number): number;
  deviceBytes(size: number): number;

  /**
   * Makes the device's side of a queue; it writes nothing yet.
   *
   * @throws RangeError for a size or a base that cannot be, and for parts that are too short or misaligned.
   */
  deviceQueue(size: number, parts: RingParts, options: DeviceQueueOptions): DeviceQueue;
}

/** Split virtqueues (virtio 1.3, 2.7). */
export const splitFormat: RingFormat = {
  name: "split",
  newRingBase: 0,
  descriptorAlignment: 16,
  driverAlignment: 2,
  deviceAlignment: 4,
  isSize: isQueueSize,
  isBase: (base) => Number.isInteger(base) && base >= 0 && base <= 0xffff,
  descriptorBytes: (size) => DESCRIPTOR_BYTES * size,
  driverBytes: availableRingBytes,
  deviceBytes: usedRingBytes,
  deviceQueue: (size, { descriptors, driver, device }, options) =>
    new SplitDeviceQueue({ ...options, ring: splitRing(size, descriptors, driver, device) }),
};

/**
 * Packed virtqueues (virtio 1.3, 2.8).
 *
 * A base has where to look for available descriptors in its lower half and where to write used ones in its upper half,
 * each an offset with the wrap counter above it. As no chain is held across a stop, both are the same, and of what a
 * front-end says the lower half holds. A base of 0 over an untouched ring is that of a new ring: User-Mode Linux (7.2)
 * says 0 whatever the format.
 */
export const packedFormat: RingFormat = {
  name: "packed",
  newRingBase: ((PACKED_RING_START << 16) | PACKED_RING_START) >>> 0,
  descriptorAlignment: 16,
  driverAlignment: 4,
  deviceAlignment: 4,
  isSize: isPackedQueueSize,
  isBase: (base, size) => Number.isInteger(base) && base >= 0 && isPackedPosition(base & 0xffff, size),
  descriptorBytes: (size) => DESCRIPTOR_BYTES * size,
  driverBytes: () => EVENT_SUPPRESSION_BYTES,
  deviceBytes: () => EVENT_SUPPRESSION_BYTES,
  deviceQueue: (size, { descriptors, driver, device }, options) => {
    const ring = packedRing(size, descriptors, driver, device);
    const startIndex = options.startIndex === 0 && isUntouched(ring) ? PACKED_RING_START : options.startIndex;
    return new PackedDeviceQueue({ ...options, startIndex, ring });
  },
};
