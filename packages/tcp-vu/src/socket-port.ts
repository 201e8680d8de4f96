import type { Iov } from "@passt-ts/iov/iov";

/** What happened to a socket since it was told last; a bit set. */
export const SocketEvent = {
  readable: 1,
  /** Connected, or room in the send buffer again. */
  writable: 2,
  error: 4,
  /** The peer closed its direction, or both directions are closed. */
  hangUp: 8,
  /** Urgent data came, at which a peek stops. */
  urgent: 16,
} as const;

/** Negative results that the engine tells apart (Linux numbers); every other one ends the connection. */
export const SocketError = {
  notPermitted: -1,
  interrupted: -4,
  again: -11,
  accessDenied: -13,
  brokenPipe: -32,
  noProtocol: -92,
  networkUnreachable: -101,
  connectionReset: -104,
  hostUnreachable: -113,
  inProgress: -115,
} as const;

/** The state of a send buffer in the kernel's own terms, bookkeeping included: one object that its owner reuses. */
export class SendBuffer {
  /** SO_SNDBUF as it is now. */
  sizeBytes = 0;
  /** What of it is in use. */
  queuedBytes = 0;
}

/**
 * All that the engine sees of the kernel: stream sockets, by number.
 *
 * Every call is non-blocking; a negative result is an error number of Linux. Events come through
 * `TcpEngine.socketReady`, edge-triggered: once for each change, for reading until a peek said `again` or was short, for writing
 * after a send said `again` or was short, or {@link TcpSocketPort.armWritable} answered 0.
 */
export interface TcpSocketPort {
  /**
   * The kernel keeps the peek offset (SO_PEEK_OFF): a peek begins where the last one ended, consuming moves it back.
   * When false, a peek begins `skipBytes` behind the head of the queue because the port throws these bytes away.
   */
  readonly peekOffset: boolean;

  /**
   * Opens a socket and begins to connect it; its events are events of `flow`, beginning with writable or error when
   * the outcome is known.
   *
   * @param address 4 words, IPv4 as IPv4-mapped; copied.
   * @returns the socket, or an error.
   */
  connect(flow: number, address: Uint32Array, port: number): number;

  /** Makes the events of an accepted socket those of `flow`: 0, or an error. A peek offset of 0 is set here and in connect. */
  adopt(flow: number, socket: number): number;

  /** 0 when the socket is connected, `inProgress` while the outcome is open, else the pending error (negative). */
  connectError(socket: number): number;

  /** Sends up to `lengthBytes` bytes of `iov` from `offset` on, at most 1024 entries: the bytes taken, or an error. */
  send(socket: number, iov: Iov, offset: number, lengthBytes: number): number;

  /**
   * Reads without consuming, up to `lengthBytes` bytes into `iov` from `offset` on.
   *
   * @param skipBytes bytes at the head of the queue that were read before.
   * @returns the bytes read, 0 when the peer closed and nothing is left behind `skipBytes`, or an error. A port without
   *   a peek offset cannot tell the end while `skipBytes` is not 0, and says `again`.
   */
  peek(socket: number, iov: Iov, offset: number, lengthBytes: number, skipBytes: number): number;

  /** Moves the peek offset; called only to rewind, and only when {@link TcpSocketPort.peekOffset}. 0 or an error. */
  setPeekOffset(socket: number, offsetBytes: number): number;

  /** Drops `lengthBytes` bytes, all peeked before, from the head of the queue: the bytes dropped, or an error. */
  consume(socket: number, lengthBytes: number): number;

  /** Ends our direction: 0 or an error. */
  shutdownWrite(socket: number): number;

  /** Closes; what is queued is still delivered. */
  close(socket: number): void;

  /** Closes so that the peer sees a reset (SO_LINGER 0). */
  reset(socket: number): void;

  /** Bytes sent that the peer's kernel has not acknowledged (SIOCOUTQ), or an error. */
  unacknowledged(socket: number): number;

  /** Reads the state of the send buffer (SO_MEMINFO): 0 or an error. */
  sendBuffer(socket: number, out: SendBuffer): number;

  /**
   * 1 when the socket is writable now; 0 when it is not, and a writable event will come (poll(2) without waiting asks
   * the kernel for it, with no data to lose as after a full send).
   */
  armWritable(socket: number): number;
}
