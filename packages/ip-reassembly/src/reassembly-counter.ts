/** What each of `IpReassembly.counters` counts, by index. */
export const ReassemblyCounter = {
  fragments: 0,
  /** Datagrams that became whole. */
  reassembled: 1,
  /** Fragments dropped: without payload, not a multiple of 8 bytes though more follow, or beyond the longest datagram. */
  malformed: 2,
  /** the same place and length as one that is there. */
  duplicates: 3,
  /** of a datagram that was refused. */
  ofRefused: 4,
  /** no place, since every one holds a whole datagram. */
  noRoom: 5,
  /** Datagrams refused: fragments overlap, */
  overlaps: 6,
  /** disagree about where the datagram ends, */
  inconsistent: 7,
  /** or are too many. */
  tooMany: 8,
  /** Datagrams given up: not whole in time, */
  expired: 9,
  /** or their place was needed for a newer one. */
  evicted: 10,
  /** ICMP errors that told the guest of a datagram not whole in time. */
  errorsToGuest: 11,
} as const;

/** How many counters there are. */
export const REASSEMBLY_COUNTERS = 12;
