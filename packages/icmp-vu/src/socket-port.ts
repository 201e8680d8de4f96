import type { Iov } from "@passt-ts/iov/iov";
import type { EchoSlots } from "./echo-slots.ts";
import type { SocketError } from "./socket-error.ts";

/** What epoll said of a socket; a bit set. */
export const SocketEvent = { readable: 1, writable: 2, error: 4, hangUp: 8 } as const;

/** Linux error numbers that the engine tells apart. */
export const Errno = {
  EPERM: 1,
  EAGAIN: 11,
  EACCES: 13,
  ENFILE: 23,
  EMFILE: 24,
  ENETUNREACH: 101,
  EHOSTUNREACH: 113,
} as const;

/**
 * All that {@link EchoEngine} sees of the kernel: "ping" sockets (SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6;
 * icmp(7)). Sockets are numbers; a negative result is -errno. No call blocks or throws, and none keeps what it was
 * given.
 */
export interface EchoSocketPort {
  /**
   * Opens a ping socket that is bound to identifier 0, so that the kernel chooses a free one, and connected to the four
   * words of `address`, with IP_RECVERR or IPV6_RECVERR on, and registers it edge-triggered for the events of `flow`.
   */
  open(flow: number, ipVersion: 4 | 6, address: Uint32Array): number;

  /**
   * Sends the first `lengthBytes` bytes of `iov`, at most 1024 entries: an ICMP message from its header on. The kernel
   * puts its own identifier and checksum in. Returns the bytes sent, or -errno.
   */
  send(socket: number, iov: Iov, lengthBytes: number): number;

  /**
   * Receives up to `slots.capacity` messages into the slots from 0 on, in one call (recvmmsg), and fills their columns.
   *
   * Returns how many came, or -errno; -EAGAIN when none waits. Fewer than the slots hold means that no more wait.
   */
  receiveBatch(socket: number, slots: EchoSlots): number;

  /** Takes one entry off the socket's error queue into `error`: 1, 0 when the queue is empty, or -errno. */
  takeError(socket: number, error: SocketError): number;

  /** Sets the TTL or hop limit of what the socket sends. 0 or -errno. */
  setHopLimit(socket: number, ipVersion: 4 | 6, hopLimit: number): number;

  /** Closes a socket that {@link open} gave. */
  close(socket: number): void;
}
