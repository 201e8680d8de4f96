import type { DatagramBatch } from "./datagram-batch.ts";
import type { DatagramSlots } from "./datagram-slots.ts";
import type { SocketError } from "./socket-error.ts";

/** What epoll said of a socket; a bit set. */
export const SocketEvent = { readable: 1, writable: 2, error: 4, hangUp: 8 } as const;

/** Linux error numbers that the engine tells apart. */
export const Errno = {
  EAGAIN: 11,
  EACCES: 13,
  ENFILE: 23,
  EMFILE: 24,
  ENETUNREACH: 101,
  EHOSTUNREACH: 113,
} as const;

/**
 * All that {@link UdpEngine} sees of the kernel. Sockets are numbers; a negative result is -errno. No call blocks or
 * throws, and none keeps the arrays it was given.
 */
export interface UdpSocketPort {
  /**
   * Opens a socket that is connected to `port` of the four words of `address`, with IP_RECVERR or IPV6_RECVERR on, and
   * registers it edge-triggered for the events of `flow`.
   *
   * @param preferredLocalPort the port to bind when it is free; any other one when not, or when it is 0.
   */
  open(flow: number, address: Uint32Array, port: number, preferredLocalPort: number): number;

  /**
   * Sends the datagrams `from` to `batch.count - 1` of `batch` in one call (sendmmsg), each exactly `lengthBytes[i]`
   * bytes. Returns how many went, at least one, or -errno of the first.
   */
  sendBatch(socket: number, batch: DatagramBatch, from: number): number;

  /**
   * Receives up to `slots.capacity` datagrams into the slots from 0 on, in one call (recvmmsg), and fills their columns.
   *
   * Returns how many came, or -errno; -EAGAIN when none waits. Fewer than the slots hold means that no more wait: an
   * event comes for what arrives later. A slot may hold several datagrams of one peer (`slots.segmentBytes`).
   */
  receiveBatch(socket: number, slots: DatagramSlots): number;

  /** Takes one entry off the socket's error queue into `error`: 1, 0 when the queue is empty, or -errno. */
  takeError(socket: number, error: SocketError): number;

  /** Sets the TTL or hop limit of what the socket sends, of multicasts when `multicast`. 0 or -errno. */
  setHopLimit(socket: number, ipVersion: 4 | 6, multicast: boolean, hopLimit: number): number;

  /** Closes a socket that {@link open} gave. */
  close(socket: number): void;
}
