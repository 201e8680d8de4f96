import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";

/** What the protocol engines are told of a socket; a bit set, the same for all of them. */
export const SocketEvent = { readable: 1, writable: 2, error: 4, hangUp: 8, urgent: 16 } as const;

/** Who is told: an engine, by flow or listener. */
export type SocketReady = (token: number, events: number) => void;

const STREAM_EVENTS: number =
  EpollEvent.readable | EpollEvent.priority | EpollEvent.writable | EpollEvent.peerClosed | EpollEvent.edgeTriggered;
const DATAGRAM_EVENTS: number = EpollEvent.readable | EpollEvent.edgeTriggered;

/**
 * Registers the sockets of one engine with the event loop, once each and edge-triggered, and passes their events on in
 * the engines' terms.
 */
export class SocketEvents implements EventHandler {
  readonly #loop: EventLoop;
  readonly #ready: SocketReady;
  /** By descriptor; -1 where none is registered. */
  readonly #registrations: number[] = [];

  constructor(loop: EventLoop, ready: SocketReady) {
    this.#loop = loop;
    this.#ready = ready;
  }

  /** Registers a stream socket: 0 or -errno. */
  addStream(fd: number, token: number): number {
    return this.#add(fd, token, STREAM_EVENTS);
  }

  /** Registers a datagram socket: 0 or -errno. */
  addDatagram(fd: number, token: number): number {
    return this.#add(fd, token, DATAGRAM_EVENTS);
  }

  /** Ends the registration of a socket that is about to be closed; nothing when there is none. */
  remove(fd: number): void {
    const registration = this.#registrations[fd] ?? -1;
    if (registration < 0) return;
    this.#registrations[fd] = -1;
    this.#loop.remove(registration);
  }

  onEvent(token: number, events: number): void {
    let ready = 0;
    if ((events & EpollEvent.readable) !== 0) ready |= SocketEvent.readable;
    if ((events & EpollEvent.writable) !== 0) ready |= SocketEvent.writable;
    if ((events & EpollEvent.error) !== 0) ready |= SocketEvent.error;
    if ((events & (EpollEvent.hangUp | EpollEvent.peerClosed)) !== 0) ready |= SocketEvent.hangUp;
    if ((events & EpollEvent.priority) !== 0) ready |= SocketEvent.urgent;
    this.#ready(token, ready);
  }

  #add(fd: number, token: number, events: number): number {
    const registration = this.#loop.add(fd, events, this, token);
    if (registration < 0) return registration;
    while (this.#registrations.length <= fd) this.#registrations.push(-1);
    this.#registrations[fd] = registration;
    return 0;
  }
}
