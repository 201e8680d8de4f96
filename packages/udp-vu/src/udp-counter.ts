/** What each of {@link UdpEngine.counters} counts, by index. */
export const UdpCounter = {
  /** Datagrams from the guest that a socket took, and their payload bytes. */
  datagramsToHost: 0,
  bytesToHost: 1,
  /** Datagrams committed to the guest, and their payload bytes. */
  datagramsToGuest: 2,
  bytesToGuest: 3,
  /** Calls of sendBatch and receiveBatch. */
  sendCalls: 4,
  receiveCalls: 5,
  flowsOpened: 6,
  flowsExpired: 7,
  /** Datagrams in too many pieces for a system call, copied once before they were sent. */
  flattened: 8,
  /** ICMP errors committed to the guest. */
  errorsToGuest: 9,
  /** Entries of error queues that the guest is not told of. */
  errorsIgnored: 10,
  /** From the guest, dropped: */
  droppedFragment: 11,
  droppedMalformed: 12,
  /** to or from a broadcast, multicast source or unspecified address. */
  droppedAddress: 13,
  /** the address map refuses the destination, or the source of what came in. */
  droppedRefused: 14,
  /** no room in the flow table (either direction). */
  droppedFlowTableFull: 15,
  /** no more file descriptors. */
  droppedNoDescriptor: 16,
  /** the socket could not be opened for another reason. */
  droppedOpenFailed: 17,
  /** the socket's send buffer was full. */
  droppedSendBufferFull: 18,
  /** the send failed, twice. */
  droppedSendFailed: 19,
  /** To the guest, dropped: no ring at that moment. */
  droppedNotReady: 20,
  /** longer than the guest's buffers can hold. */
  droppedTooLong: 21,
  /** no address of the guest is known to send it to. */
  droppedNoGuestAddress: 22,
  /** staged when its flow ended. */
  droppedFlowEnded: 23,
  /** cut by a receive. */
  droppedTruncated: 24,
  /** an ICMP error that found no room, or was one too many of our own. */
  droppedError: 25,
  /** Receives that failed with another error than EAGAIN. */
  receiveErrors: 26,
} as const;

/** How many counters there are. */
export const UDP_COUNTERS = 27;
