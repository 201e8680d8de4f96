import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { Errno, orThrow, SystemError } from "./system-error.ts";

/** Event bits of epoll(7), as asked for and as delivered. */
export const EpollEvent = {
  readable: 0x1,
  priority: 0x2,
  writable: 0x4,
  /** Delivered without being asked for. */
  error: 0x8,
  /** Delivered without being asked for. */
  hangUp: 0x10,
  peerClosed: 0x2000,
  /** Only asked for: report changes, not states (bit 31, as an int32). */
  edgeTriggered: -0x8000_0000,
} as const;

/** Who is told about the events of a descriptor. */
export interface EventHandler {
  /** @param token what was given to {@link EventLoop.add}. @param events a bit set of {@link EpollEvent}. */
  onEvent(token: number, events: number): void;
}

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** struct epoll_event in 32-bit words: packed on x86-64 only. */
const EVENT_WORDS: number = process.arch === "x64" ? 3 : 4;
const DATA_WORD: number = process.arch === "x64" ? 1 : 2;

const NO_HANDLER: EventHandler = { onEvent: () => {} };

/**
 * One epoll instance and the handlers of its descriptors. No garbage for an event.
 *
 * A handler may add and remove any registration, its own included: an event of a registration that was removed is not
 * delivered, even when it was fetched before, and even when the number serves a new registration by then.
 */
export class EventLoop implements Disposable {
  readonly #epoll: OwnedFd;
  readonly #events: NativeBuffer;
  readonly #batchSize: number;
  readonly #one: NativeBuffer = new NativeBuffer(16);
  /** By registration; -1 = free. */
  readonly #fds: number[] = [];
  readonly #handlers: EventHandler[] = [];
  readonly #tokens: number[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  /** Events of the last batch: fetched, and delivered so far. */
  #fetched = 0;
  #delivered = 0;
  #waiting = false;

  /** @param batchSize events fetched by one call at most. @throws SystemError */
  constructor(batchSize = 256) {
    this.#epoll = new OwnedFd(orThrow(libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
    this.#batchSize = batchSize;
    this.#events = new NativeBuffer(batchSize * EVENT_WORDS * 4);
  }

  /** Registrations that live now. */
  get count(): number {
    return this.#fds.length - this.#free.length;
  }

  /**
   * Registers `fd` for `events`. The loop borrows it: remove the registration before you close the descriptor.
   *
   * Returns the registration, an int32 from 0 that is free for others once removed, or -errno (-EEXIST, -EPERM for a
   * plain file, -ENOSPC, -ENOMEM).
   */
  add(fd: number, events: number, handler: EventHandler, token: number): number {
    const registration = this.#free.pop() ?? this.#fds.length;
    const generation = registration === this.#fds.length ? 0 : this.#generations[registration];
    this.#fds[registration] = fd;
    this.#handlers[registration] = handler;
    this.#tokens[registration] = token;
    this.#generations[registration] = generation;
    const result = this.#control(EPOLL_CTL_ADD, registration, events);
    if (result < 0) this.#release(registration);
    return result < 0 ? result : registration;
  }

  /** Changes what a registration asks for; with edgeTriggered this also reports the present state once. 0 or -errno. */
  modify(registration: number, events: number): number {
    this.#check(registration);
    return this.#control(EPOLL_CTL_MOD, registration, events);
  }

  /** Ends a registration; the descriptor stays open. @throws RangeError when it does not live. */
  remove(registration: number): void {
    this.#check(registration);
    libc.epoll_ctl(this.#epoll.fd, EPOLL_CTL_DEL, this.#fds[registration], 0);
    this.#release(registration);
  }

  /**
   * Waits at most `timeoutMs` (0 = not at all, Infinity = for ever, fractions are rounded up) for events and tells
   * their handlers. Returns how many were told: 0 after the time, or when a signal came first.
   *
   * What a handler throws passes through; the next call delivers the rest of the batch before it waits again, so no
   * edge is lost.
   *
   * @throws SystemError when epoll itself fails. @throws Error when a handler calls it.
   */
  wait(timeoutMs: number): number {
    if (this.#waiting) throw new Error("wait() was called by a handler");
    if (this.#delivered === this.#fetched) {
      this.#delivered = 0;
      this.#fetched = 0;
      const timeout = timeoutMs >= 0x7fff_ffff ? -1 : timeoutMs > 0 ? Math.ceil(timeoutMs) : 0;
      const count = resultOf(libc.epoll_wait(this.#epoll.fd, this.#events.address, this.#batchSize, timeout));
      if (count === -Errno.EINTR) return 0;
      if (count < 0) throw new SystemError("epoll_wait", count);
      this.#fetched = count;
    }
    this.#waiting = true;
    try {
      return this.#deliver();
    } finally {
      this.#waiting = false;
    }
  }

  /** Closes the epoll instance; the registered descriptors stay open. */
  close(): void {
    this.#epoll.close();
    this.#fetched = this.#delivered;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #deliver(): number {
    const words = this.#events.words;
    let told = 0;
    while (this.#delivered < this.#fetched) {
      const at = this.#delivered++ * EVENT_WORDS;
      const registration = words[at + DATA_WORD];
      if (this.#generations[registration] !== words[at + DATA_WORD + 1] || this.#fds[registration] === -1) continue;
      told++;
      this.#handlers[registration].onEvent(this.#tokens[registration], words[at]);
    }
    return told;
  }

  #control(operation: number, registration: number, events: number): number {
    const { words, address } = this.#one;
    words[0] = events;
    words[DATA_WORD] = registration;
    words[DATA_WORD + 1] = this.#generations[registration];
    return resultOf(libc.epoll_ctl(this.#epoll.fd, operation, this.#fds[registration], address));
  }

  #release(registration: number): void {
    this.#fds[registration] = -1;
    this.#handlers[registration] = NO_HANDLER;
    this.#generations[registration] = (this.#generations[registration] + 1) >>> 0;
    this.#free.push(registration);
  }

  #check(registration: number): void {
    const fd = this.#fds[registration];
    if (fd === undefined || fd === -1) throw new RangeError(`no registration ${registration}`);
  }
}
