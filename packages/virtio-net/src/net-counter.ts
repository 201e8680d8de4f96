/**
 * What {@link TxQueue} and {@link RxQueue} count, as indices of their `counters`. TX is what the driver transmits, RX
 * what it receives (virtio 1.3, 5.1.2).
 */
export const NetCounter = {
  txFrames: 0,
  /** Bytes of Ethernet frames, without the virtio-net header; so in `rxBytes`, which has the padding. */
  txBytes: 1,
  /** Chains too short for a virtio-net header and an Ethernet header. */
  txTooShort: 2,
  /** Chains longer than the longest frame. */
  txTooLong: 3,
  /** Chains whose virtio-net header contradicts itself, the frame's length or what was negotiated. */
  txBadHeader: 4,
  /** Chains with buffers for the device to write, where it only reads. */
  txWritable: 5,
  rxFrames: 6,
  rxBytes: 7,
  /** Frames for which the driver had no buffers. */
  rxNoRoom: 8,
  /** Frames longer than any buffer of the driver. */
  rxTooLong: 9,
  /** Frames while there was no ring. */
  rxNotReady: 10,
} as const;

/** How many counters there are. */
export const NET_COUNTERS = 11;
