import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";
import { acceptSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import {
  IP_PKTINFO,
  IP_RECVERR,
  IPV6_RECVERR,
  IPV6_RECVPKTINFO,
  SO_RCVBUF,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno } from "@passt-ts/linux/system-error";
import { RECEIVE_BUFFER_BYTES } from "./udp-sockets.ts";

/** A bound socket that takes what is to reach a port of the guest; the back-end owns the descriptor. */
export interface ForwardSocket {
  readonly protocol: "tcp" | "udp";
  readonly fd: number;
  /** The family of the socket; one of family 6 may take IPv4 too. */
  readonly family: 4 | 6;
  readonly targetPort: number;
  /** Where in the guest, four words, of a family that the socket takes; the guest's own address when absent. */
  readonly targetAddress?: Uint32Array | null;
}

/** Who takes the connections that were accepted. */
export interface ConnectionTaker {
  /** False while nobody can take one: they are reset. */
  isReady(): boolean;
  /** Takes a connected socket; -1 when it cannot, and the socket stays the caller's. */
  accepted(
    socket: number,
    peer: Uint32Array,
    peerPort: number,
    guestPort: number,
    guestAddress: Uint32Array | null,
  ): number;
}

/** Connections accepted for one event, so that one port cannot hold up the rest. */
const ACCEPTS_MAX = 32;
/** How long a listener rests when there are no descriptors to accept with: its event would come again at once. */
const REST_MS = 100;

/** The TCP ports of the host that listen for the guest. */
export class TcpListeners implements EventHandler {
  readonly #loop: EventLoop;
  readonly #taker: ConnectionTaker;
  readonly #fds: number[] = [];
  readonly #guestPorts: number[] = [];
  readonly #guestAddresses: (Uint32Array | null)[] = [];
  readonly #registrations: number[] = [];
  readonly #options: SocketOptions = new SocketOptions();
  readonly #peer: SocketAddress = new SocketAddress();
  readonly #words: Uint32Array = new Uint32Array(4);
  #resting = false;
  /** When {@link TcpListeners.turn} is to be called at the latest, or Infinity. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  /** Connections that were reset because nobody could take them. */
  refused = 0;
  /** How often there was no descriptor to accept with. */
  outOfDescriptors = 0;

  constructor(loop: EventLoop, taker: ConnectionTaker) {
    this.#loop = loop;
    this.#taker = taker;
  }

  /** Takes over a listening socket. @throws Error when epoll does not take it. */
  add(forward: ForwardSocket): void {
    const registration = this.#loop.add(forward.fd, EpollEvent.readable, this, this.#fds.length);
    if (registration < 0) throw new Error(`epoll refused a listening socket: errno ${-registration}`);
    this.#fds.push(forward.fd);
    this.#guestPorts.push(forward.targetPort);
    this.#guestAddresses.push(forward.targetAddress ?? null);
    this.#registrations.push(registration);
  }

  onEvent(listener: number): void {
    for (let i = 0; i < ACCEPTS_MAX; i++) {
      const socket = acceptSocket(this.#fds[listener], this.#peer);
      if (socket < 0) {
        if (isOutOfResources(socket)) this.#rest();
        return;
      }
      this.#hand(socket, listener);
    }
  }

  /** Wakes the listeners when they have rested. */
  turn(nowMs: number): void {
    if (!this.#resting) return;
    if (this.deadlineMs === Number.POSITIVE_INFINITY) this.deadlineMs = nowMs + REST_MS;
    if (nowMs < this.deadlineMs) return;
    this.#resting = false;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    for (const registration of this.#registrations) this.#loop.modify(registration, EpollEvent.readable);
  }

  close(): void {
    for (const [index, fd] of this.#fds.entries()) {
      this.#loop.remove(this.#registrations[index]);
      closeFd(fd);
    }
    this.#fds.length = 0;
    this.#registrations.length = 0;
    this.#guestPorts.length = 0;
    this.#guestAddresses.length = 0;
  }

  #hand(socket: number, listener: number): void {
    this.#peer.words(this.#words);
    const port = this.#guestPorts[listener];
    const address = this.#guestAddresses[listener];
    if (this.#taker.isReady() && this.#taker.accepted(socket, this.#words, this.#peer.port, port, address) >= 0) return;
    this.refused++;
    this.#options.closeWithReset(socket);
  }

  #rest(): void {
    this.outOfDescriptors++;
    if (this.#resting) return;
    this.#resting = true;
    for (const registration of this.#registrations) this.#loop.modify(registration, 0);
  }
}

function isOutOfResources(result: number): boolean {
  return result === -Errno.EMFILE || result === -Errno.ENFILE || result === -Errno.ENOBUFS || result === -Errno.ENOMEM;
}

/** Makes a bound UDP socket say where its datagrams were sent to, so that answers leave from there, and what failed. */
export function prepareUdpListener(forward: ForwardSocket): void {
  const options = new SocketOptions();
  options.set(forward.fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  options.set(forward.fd, SOL_UDP, UDP_GRO, 1);
  options.set(forward.fd, SOL_IP, IP_RECVERR, 1);
  if (forward.family === 4) {
    options.set(forward.fd, SOL_IP, IP_PKTINFO, 1);
    return;
  }
  options.set(forward.fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
  options.set(forward.fd, SOL_IPV6, IPV6_RECVERR, 1);
}
