/** What each of {@link EchoEngine.counters} counts, by index. */
export const EchoCounter = {
  requestsToHost: 0,
  repliesToGuest: 1,
  flowsOpened: 2,
  flowsExpired: 3,
  /** Requests in too many pieces for a system call, copied once before they were sent. */
  flattened: 4,
  /** ICMP errors committed to the guest. */
  errorsToGuest: 5,
  /** Entries of error queues that the guest is not told of. */
  errorsIgnored: 6,
  /** Requests dropped: */
  droppedFragment: 7,
  droppedMalformed: 8,
  /** the address map refuses the destination, or the source is no address of a guest. */
  droppedRefused: 9,
  droppedFlowTableFull: 10,
  /** no more file descriptors. */
  droppedNoDescriptor: 11,
  /** ping sockets are not allowed here (net.ipv4.ping_group_range). */
  droppedNotPermitted: 12,
  /** the socket could not be opened for another reason. */
  droppedOpenFailed: 13,
  droppedSendFailed: 14,
  /** Replies dropped: no ring at that moment. */
  droppedNotReady: 15,
  /** longer than the guest's buffers can hold. */
  droppedTooLong: 16,
  /** no echo reply, cut, or from somebody else than the request went to. */
  droppedReply: 17,
  /** staged when its flow ended. */
  droppedFlowEnded: 18,
  /** an ICMP error that found no room, or was one too many of our own. */
  droppedError: 19,
  /** Receives that failed with another error than EAGAIN. */
  receiveErrors: 20,
} as const;

/** How many counters there are. */
export const ECHO_COUNTERS = 21;
