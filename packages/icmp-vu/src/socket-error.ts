/** Who reported an error (`ee_origin`, linux/errqueue.h). */
export const ErrorOrigin = { none: 0, local: 1, icmp: 2, icmpv6: 3 } as const;

/**
 * One entry of a ping socket's error queue (IP_RECVERR, IPV6_RECVERR; ip(7)): one object that its owner reuses.
 *
 * The port fills it. The part of the failed echo request that came back, from its ICMP header on, goes to
 * `dataCapacity` bytes at `dataOffset` of window `dataWindow`.
 */
export class SocketError {
  /** Linux error number, positive. */
  errno = 0;
  /** A value of {@link ErrorOrigin}. */
  origin = 0;
  /** ICMP or ICMPv6 type and code. */
  type = 0;
  code = 0;
  /** `ee_info`: the MTU where the type has one. */
  information = 0;
  /** Who sent the ICMP message, 4 words; all 0 when not known. */
  readonly offender: Uint32Array = new Uint32Array(4);
  readonly dataWindow: number;
  readonly dataOffset: number;
  readonly dataCapacity: number;
  /** Bytes that came back, at most `dataCapacity`. */
  dataLength = 0;

  constructor(dataWindow: number, dataOffset: number, dataCapacity: number) {
    this.dataWindow = dataWindow;
    this.dataOffset = dataOffset;
    this.dataCapacity = dataCapacity;
  }
}
