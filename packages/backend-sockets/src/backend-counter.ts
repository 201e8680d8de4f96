import { DROP_REASONS } from "@passt-ts/wire/packet";

/** Indices in the back-end's own counters; what the engines count is theirs. */
export const BackendCounter = {
  /** Frames from the guest. */
  frames: 0,
  bytes: 1,
  /** Frames of a family that is switched off. */
  familyOff: 2,
  /** Pieces of fragmented packets. */
  fragments: 3,
  /** Packets of a protocol that nobody here speaks, and ICMP messages that nobody here wants. */
  protocol: 4,
  /** Messages for a service that are longer than any that makes sense. */
  serviceTooLong: 5,
  /** Packets of a protocol that is switched off. */
  switchedOff: 6,
  /** Frames that the parser refused, by reason: {@link BackendCounter.dropped} plus the number of `Drop`. */
  dropped: 7,
} as const;

export const BACKEND_COUNTERS: number = BackendCounter.dropped + DROP_REASONS;
