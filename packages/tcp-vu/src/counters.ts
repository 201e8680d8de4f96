/** Index of each counter in `TcpEngine.counters`, by name. */
export const TcpCounter = {
  segmentsIn: 0,
  segmentsOut: 1,
  /** Payload that sockets took. */
  bytesIn: 2,
  /** Payload given to the guest, resent bytes included. */
  bytesOut: 3,
  opened: 4,
  accepted: 5,
  closed: 6,
  /** Header length impossible, a fragment, or port 0. */
  malformed: 7,
  /** SYN to an address that no flow may go to, or a segment to or from one that no host has. */
  refusedAddress: 8,
  tableFull: 9,
  connectFailed: 10,
  handshakeTimeout: 11,
  resetByGuest: 12,
  resetByHost: 13,
  resetsOut: 14,
  outOfOrder: 15,
  duplicate: 16,
  /** Payload that the send buffer did not take, so that the guest sends it again. */
  bytesRefused: 17,
  fastRetransmits: 18,
  timeouts: 19,
  zeroWindowProbes: 20,
  retriesExhausted: 21,
  /** Segments not acceptable that got an acknowledgment (RFC 5961). */
  challenges: 22,
  /** Times that a flow waited for room in the ring, or for the guest's window. */
  waitsForRoom: 23,
  waitsForWindow: 24,
  /** Control segments for which the ring had no room. */
  segmentsDropped: 25,
  peeks: 26,
  sends: 27,
  socketErrors: 28,
  /** Frames that no buffer of the driver can hold; the flow goes on with shorter ones. */
  framesTooLong: 29,
  /** Resends before the retransmission timeout, of what nothing came after. */
  tailProbes: 30,
  /** Keepalives for the guest. */
  keepalives: 31,
  /** Connections reset because neither side used them. */
  idleTimeouts: 32,
  /** Connections that both sides had closed, given up. */
  closingTimeouts: 33,
  /** Segments not acceptable beyond the rate of challenge acknowledgments (RFC 5961 section 7). */
  challengesWithheld: 34,
  /** ICMP errors that told the guest why its SYN went nowhere. */
  unreachablesOut: 35,
} as const;

/** How many counters there are. */
export const TCP_COUNTERS = 36;
