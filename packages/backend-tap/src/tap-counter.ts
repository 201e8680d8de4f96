/** Indices in the counters of a tap back-end. */
export const TapCounter = {
  /** Frames of the guest that the host took, those with a gso_size among them. */
  txFrames: 0,
  txBytes: 1,
  txSegmented: 2,
  /** Frames that waited for the host to take them. */
  txWaited: 3,
  /** Frames in more pieces than a system call takes, copied once. */
  txGathered: 4,
  /** Dropped: no place left to wait. */
  txFull: 5,
  /** Dropped: the interface is down or gone. */
  txLinkDown: 6,
  /** Dropped: the host refused the frame. */
  txRefused: 7,
  /** Frames that the guest got, those with a gso_size among them. */
  rxFrames: 8,
  rxBytes: 9,
  rxSegmented: 10,
  /** Frames that did not come straight into the guest's buffers: copied once. */
  rxCopied: 11,
  /** Dropped: longer than any buffer of the guest, or than any frame. */
  rxTooLong: 12,
  /** Dropped: they ask for an offload that was not negotiated; leftovers of another driver. */
  rxOffload: 13,
  /** Dropped: they could not be read. */
  rxFailed: 14,
} as const;

export const TAP_COUNTERS = 15;
