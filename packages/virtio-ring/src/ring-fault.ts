/** What was wrong with a ring; the queue that found it is broken until it is replaced. */
export const RingFault = {
  none: 0,
  /** The other side's index moved back, or ahead by more than the ring can hold; made available what it does not have. */
  indexJump: 1,
  /** The available ring names a descriptor that the table does not have. */
  headOutOfRange: 2,
  /** A `next` field names a descriptor that its table does not have. */
  nextOutOfRange: 3,
  /** A chain has more descriptors than the queue size: perhaps a loop. */
  chainTooLong: 4,
  /** The buffers of a chain are longer than 2^32 bytes in total. */
  chainTooLarge: 5,
  /** A device-readable buffer follows a device-writable one. */
  readableAfterWritable: 6,
  /** A buffer lies, in whole or in part, outside the guest's memory. */
  unmapped: 7,
  /** A chain needs more scatter-gather entries than an empty pool has. */
  tooManyEntries: 8,
  /** An indirect descriptor, and the feature was not negotiated. */
  indirectNotNegotiated: 9,
  /** An indirect descriptor inside an indirect table. */
  indirectNested: 10,
  /** An indirect descriptor with a `next`. */
  indirectWithNext: 11,
  /** An indirect table of no descriptors, of a fraction of one, or of more than `next` could name. */
  indirectLength: 12,
  /** An indirect table lies, in whole or in part, outside the guest's memory. */
  indirectUnmapped: 13,
  /** Seen by a driver: the used ring names a buffer that is not the device's. */
  usedUnknown: 14,
  /** A chain of a packed ring goes on in a descriptor that is not available. */
  nextNotAvailable: 15,
} as const;

const DESCRIPTIONS: readonly string[] = [
  "no fault",
  "the ring index jumped",
  "the available ring names a descriptor outside the table",
  "a descriptor's next lies outside its table",
  "a descriptor chain is longer than the queue",
  "a descriptor chain holds more than 2^32 bytes",
  "a device-readable buffer follows a device-writable one",
  "a buffer lies outside guest memory",
  "a descriptor chain needs more entries than the pool has",
  "an indirect descriptor without the feature",
  "an indirect descriptor inside an indirect table",
  "an indirect descriptor with a next",
  "an indirect table of a wrong length",
  "an indirect table outside guest memory",
  "the used ring names a buffer that the device does not have",
  "a descriptor chain goes on in a descriptor that is not available",
];

/** A {@link RingFault} in words, for a log. */
export function describeRingFault(fault: number): string {
  return DESCRIPTIONS[fault] ?? `unknown ring fault ${fault}`;
}
