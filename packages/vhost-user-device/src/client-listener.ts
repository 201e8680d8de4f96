import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { Errno, errnoMessage } from "@passt-ts/linux/system-error";
import { acceptUnix } from "@passt-ts/linux/unix-socket";
import type { Log } from "./log.ts";

/** Clients accepted in one event. */
const ACCEPTS_PER_EVENT = 16;

/** How often clients are tried again that could not be accepted, or came in too great a number. */
const RETRY_INTERVAL_MS = 100;

/** What a listener works with. */
export interface ClientListenerContext {
  readonly loop: EventLoop;
  readonly log: Log;
}

/** A listening Unix socket: accepts whoever comes, and hands each client on. */
export class ClientListener implements EventHandler {
  readonly #socket: OwnedFd;
  readonly #context: ClientListenerContext;
  readonly #onClient: (socket: OwnedFd) => void;
  #registration: number;
  /** When to look for clients that were not accepted when their event came. */
  #retryAtMs = Infinity;

  /**
   * Takes over a socket that listens.
   *
   * @param onClient owns the connected socket from then on; it must not throw.
   * @throws Error when the socket cannot be waited for; it is closed then.
   */
  constructor(socket: OwnedFd, context: ClientListenerContext, onClient: (socket: OwnedFd) => void) {
    this.#socket = socket;
    this.#context = context;
    this.#onClient = onClient;
    // Edge-triggered: a client that cannot be accepted for want of descriptors must not make the loop spin.
    const events = EpollEvent.readable | EpollEvent.edgeTriggered;
    this.#registration = context.loop.add(socket.fd, events, this, 0);
    if (this.#registration < 0) {
      socket.close();
      throw new Error(`cannot wait for clients: ${errnoMessage(this.#registration)}`);
    }
  }

  onEvent(): void {
    if (!this.#accept()) this.#retryAtMs = 0;
  }

  /** Tries again what could not be done when the event came. To be called in each round of the loop. */
  turn(nowMs: number): void {
    if (nowMs >= this.#retryAtMs) this.#retryAtMs = this.#accept() ? Infinity : nowMs + RETRY_INTERVAL_MS;
  }

  /** When {@link ClientListener.turn} is due at the latest, or Infinity. */
  get deadlineMs(): number {
    return this.#retryAtMs;
  }

  /** Closes the socket; later calls do nothing. */
  close(): void {
    if (this.#registration >= 0) this.#context.loop.remove(this.#registration);
    this.#registration = -1;
    this.#retryAtMs = Infinity;
    this.#socket.close();
  }

  /** Takes the clients that wait, at most a bounded number. Returns whether none is left. */
  #accept(): boolean {
    for (let i = 0; i < ACCEPTS_PER_EVENT; i++) {
      if (this.#registration < 0) return true;
      const fd = acceptUnix(this.#socket.fd);
      if (fd === -Errno.EAGAIN) return true;
      if (fd < 0) {
        // Said once, not at each attempt that follows.
        if (this.#retryAtMs === Infinity) this.#context.log("warning", `cannot accept a client: ${errnoMessage(fd)}`);
        return false;
      }
      this.#onClient(new OwnedFd(fd));
    }
    return false;
  }
}
