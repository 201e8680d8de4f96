import { describeRingFault } from "@passt-ts/virtio-ring/ring-fault";

/**
 * What was wrong with the chains of a network queue though the ring itself was in order. The values continue those of
 * `RingFault`, so one number says why a queue is broken.
 */
export const NetFault = {
  /** A receive buffer that the device may not write, in whole or in part. */
  receiveBufferReadable: 128,
  /** A receive buffer of no bytes. */
  receiveBufferEmpty: 129,
} as const;

/** A `NetFault` or `RingFault` in words, for a log. */
export function describeNetFault(fault: number): string {
  if (fault === NetFault.receiveBufferReadable) return "a receive buffer is device-readable";
  if (fault === NetFault.receiveBufferEmpty) return "a receive buffer has no bytes";
  return describeRingFault(fault);
}
