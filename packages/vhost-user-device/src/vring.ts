import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";
import { type EventSignal, isEventFd } from "@passt-ts/linux/eventfd";
import { setNonBlocking } from "@passt-ts/linux/file-status";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { VringAddress } from "@passt-ts/vhost-user-proto/payload";
import { QUEUE_SIZE_MAX } from "@passt-ts/virtio-ring/descriptor";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { type RingFormat, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import type { BackEndChannel } from "./back-end-channel.ts";
import { replaceFd } from "./replaced-fd.ts";

/** What all rings of a device share. */
export interface VringContext {
  readonly loop: EventLoop;
  readonly signal: EventSignal;
}

/**
 * One virtqueue of a device: what the front-end said about it, its file descriptors, and the queue while it is started.
 *
 * Stopped: addresses, size and base may change; there is no queue. Started, by SET_VRING_KICK: there is a queue, until
 * GET_VRING_BASE, or until a new size or base, which User-Mode Linux sends without stopping first. Enabled or not is
 * independent of that.
 */
export class Vring implements EventHandler {
  readonly index: number;
  size = 0;
  address: VringAddress | null = null;
  /** The format that was negotiated. */
  format: RingFormat = splitFormat;
  enabled = false;
  /** The queue while started; it may be broken. */
  queue: DeviceQueue | null = null;
  /** Notifications go by message where there is no descriptor for them (INBAND_NOTIFICATIONS). */
  channel: BackEndChannel | null = null;
  /** The driver has to be called, and its channel was full; also when the ring has stopped since. */
  callDue = false;
  /** The front-end has to hear that the queue broke, and its channel was full. */
  errorDue = false;
  /** The driver gives no kicks: the ring is looked at in each round. */
  polled = false;
  /** A kick came, or the ring has to be looked at for another reason. */
  kicked = false;
  /** Kicks taken; the owner reads and clears it. */
  kicks = 0;
  /** This front-end has started it before: it knows where it goes on. */
  startedBefore = false;
  /** That the queue is broken was reported. */
  brokenReported = false;
  /** The ring had moved on from its beginning before it was stopped: a start at 0 is then a new driver's. */
  hadMoved = false;
  /** It was started again from its beginning; the owner clears it. */
  restarted = false;
  readonly #context: VringContext;
  /** Where a start begins, while stopped; null: at the beginning of a new ring. */
  #base: number | null = null;
  #kick: OwnedFd | null = null;
  /** It is a counter, which each kick makes larger and which never fills: the edge tells all, and it is never read. */
  #kickIsCounter = false;
  #call: OwnedFd | null = null;
  #error: OwnedFd | null = null;
  #registration = -1;

  constructor(index: number, context: VringContext) {
    this.index = index;
    this.#context = context;
  }

  /** Where a start begins, while stopped. */
  get base(): number {
    return this.#base ?? this.format.newRingBase;
  }

  /** Sets where the next start begins; null: at the beginning of a new ring. The ring is stopped. */
  setBase(base: number | null): void {
    this.#base = base;
  }

  /** Descriptors held, for a summary. */
  get fdCount(): number {
    return [this.#kick, this.#call, this.#error].filter((fd) => fd !== null).length;
  }

  /**
   * Replaces the kick fd; null: there is none, the ring is polled. The fd is owned from now on, and closed at a throw.
   *
   * @throws VhostUserError BAD_FDS when it cannot be waited for.
   */
  setKick(fd: OwnedFd | null): void {
    if (fd === null) {
      this.#dropKick();
      this.polled = true;
      return;
    }
    // Edge-triggered: a descriptor that is readable for ever, such as a pipe that lost its writer, must not spin.
    let registration = -1;
    try {
      setNonBlocking(fd.fd);
      const events = EpollEvent.readable | EpollEvent.edgeTriggered;
      registration = this.#context.loop.add(fd.fd, events, this, this.index);
    } catch {
      // Not a descriptor that has modes: refused below.
    }
    if (registration < 0) {
      fd.close();
      throw new VhostUserError("BAD_FDS", `ring ${this.index}: the kick fd cannot be waited for`);
    }
    this.#dropKick();
    this.#kick = fd;
    this.#kickIsCounter = isEventFd(fd.fd);
    this.#registration = registration;
    // A kick to the descriptor before this one may not have been read, and whoever was polled was asked for none. What
    // waits in a disabled ring is left alone, as at a start, unless it was polled and so thrown away already.
    this.kicked ||= this.queue !== null && (this.enabled || this.polled);
    this.polled = false;
  }

  /** Replaces the call fd; null: the driver polls. The fd is owned from now on, and closed at a throw. */
  setCall(fd: OwnedFd | null): void {
    this.#call = replaceFd(this.#call, fd);
  }

  /** Replaces the error fd, which is told when the queue breaks. The fd is owned from now on, and closed at a throw. */
  setError(fd: OwnedFd | null): void {
    this.#error = replaceFd(this.#error, fd);
  }

  /** Notifies the driver. Returns whether something was sent; a call fd that fails is given up. */
  call(): boolean {
    this.callDue = false;
    if (this.#call === null) return this.#callInBand();
    // User-Mode Linux gives a pipe: its signals are 8 bytes each, and EAGAIN means that enough are there.
    if (this.#context.signal.notify(this.#call.fd) === 0) return true;
    this.#call.close();
    this.#call = null;
    return false;
  }

  #callInBand(): boolean {
    if (this.channel === null) return false;
    this.callDue = !this.channel.call(this.index);
    return !this.callDue;
  }

  /** Tells the error fd, or the channel, that the queue broke. */
  callError(): void {
    this.errorDue = false;
    if (this.#error !== null) this.#context.signal.notify(this.#error.fd);
    else if (this.channel !== null) this.errorDue = !this.channel.error(this.index);
  }

  onEvent(): void {
    if (this.#kick === null) return;
    if (!this.#kickIsCounter) this.#context.signal.drain(this.#kick.fd);
    this.kicked = true;
    this.kicks++;
  }

  /**
   * Starts the ring with a prepared queue; it is looked at in the next round. One that is disabled is left alone until
   * its driver kicks: a front-end that reconnects enables it soon, and what waits in it is not to be thrown away.
   */
  start(queue: DeviceQueue): void {
    this.restarted ||= this.base === this.format.newRingBase && this.hadMoved;
    this.hadMoved = false;
    this.startedBefore = true;
    this.queue = queue;
    this.kicked = this.enabled;
    this.#forgetFault();
  }

  /**
   * Goes on with another queue over the same ring. It is looked at only if it was to be before: a driver that went away
   * without stopping its ring (User-Mode Linux) may have put its memory to other uses, but it does not kick.
   */
  replaceQueue(queue: DeviceQueue): void {
    this.queue = queue;
    if (queue.brokenReason === 0) this.#forgetFault();
  }

  #forgetFault(): void {
    this.brokenReported = false;
    this.errorDue = false;
  }

  /** Enables or disables the ring; once enabled it is looked at. */
  setEnabled(enabled: boolean): void {
    this.enabled = enabled;
    this.kicked ||= enabled && this.queue !== null;
  }

  /** Sets the number of descriptors, which stops the ring. @throws VhostUserError */
  setSize(size: number): void {
    if (size < 1 || size > QUEUE_SIZE_MAX || !this.format.isSize(size))
      throw new VhostUserError("BAD_VALUE", `ring ${this.index}: size ${size}`);
    this.stop();
    this.size = size;
  }

  /** Stops the ring. Returns where a start would go on; the call fd stays, as the front-end may not send it again. */
  stop(): number {
    if (this.queue !== null) {
      this.#base = this.queue.nextAvailable;
      this.hadMoved ||= this.#base !== this.format.newRingBase;
      this.queue = null;
    }
    this.kicked = false;
    this.#forgetFault();
    return this.base;
  }

  /** Gives the kick fd back, as a stopped ring must not hear it. */
  dropKick(): void {
    this.#dropKick();
    this.polled = false;
  }

  /** Forgets what the front-end said about it, which is stopped; the call and error fds stay. */
  forget(): void {
    this.size = 0;
    this.address = null;
    this.#base = null;
    this.enabled = false;
    this.dropKick();
  }

  #dropKick(): void {
    if (this.#registration >= 0) this.#context.loop.remove(this.#registration);
    this.#registration = -1;
    this.#kick?.close();
    this.#kick = null;
  }

  /** Closes everything. */
  close(): void {
    this.stop();
    this.dropKick();
    this.setCall(null);
    this.setError(null);
  }
}
