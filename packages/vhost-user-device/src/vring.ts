import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";
import type { EventSignal } from "@passt-ts/linux/eventfd";
import { setNonBlocking } from "@passt-ts/linux/file-status";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { VringAddress } from "@passt-ts/vhost-user-proto/payload";
import { SplitDeviceQueue } from "@passt-ts/virtio-ring/split-device-queue";
import {
  availableRingBytes,
  descriptorTableBytes,
  isQueueSize,
  type SplitRing,
  splitRing,
  usedRingBytes,
} from "@passt-ts/virtio-ring/split-ring";
import type { Negotiated } from "./features.ts";
import type { MemoryMap } from "./memory-map.ts";

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
  /** Where a start begins, while stopped. */
  base = 0;
  enabled = false;
  /** The queue while started; it may be broken. */
  queue: SplitDeviceQueue | null = null;
  /** The driver gives no kicks: the ring is looked at in each round. */
  polled = false;
  /** A kick came, or the ring has to be looked at for another reason. */
  kicked = false;
  /** Kicks taken; the owner reads and clears it. */
  kicks = 0;
  /** That the queue is broken was reported. */
  brokenReported = false;
  /** The ring had moved on from its beginning before it was stopped: a start at 0 is then a new driver's. */
  hadMoved = false;
  /** It was started again from its beginning; the owner clears it. */
  restarted = false;
  readonly #context: VringContext;
  #kick: OwnedFd | null = null;
  #call: OwnedFd | null = null;
  #error: OwnedFd | null = null;
  #registration = -1;

  constructor(index: number, context: VringContext) {
    this.index = index;
    this.#context = context;
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
    this.#registration = registration;
    this.polled = false;
  }

  /** Replaces the call fd; null: the driver polls. The fd is owned from now on, and closed at a throw. */
  setCall(fd: OwnedFd | null): void {
    this.#call = replace(this.#call, fd);
  }

  /** Replaces the error fd, which is told when the queue breaks. The fd is owned from now on, and closed at a throw. */
  setError(fd: OwnedFd | null): void {
    this.#error = replace(this.#error, fd);
  }

  /** Notifies the driver. Returns whether something was written; a call fd that fails is given up. */
  call(): boolean {
    if (this.#call === null) return false;
    // User-Mode Linux gives a pipe: its signals are 8 bytes each, and EAGAIN means that enough are there.
    if (this.#context.signal.notify(this.#call.fd) === 0) return true;
    this.#call.close();
    this.#call = null;
    return false;
  }

  /** Tells the error fd that the queue broke. */
  callError(): void {
    if (this.#error !== null) this.#context.signal.notify(this.#error.fd);
  }

  onEvent(): void {
    if (this.#kick === null) return;
    this.#context.signal.drain(this.#kick.fd);
    this.kicked = true;
    this.kicks++;
  }

  /**
   * Makes the views of the ring's three parts.
   *
   * @throws VhostUserError BAD_STATE when size or addresses are missing, BAD_RING when a part is not mapped in one
   *   region or misaligned.
   */
  locate(map: MemoryMap | null, address: VringAddress | null = this.address): SplitRing {
    const { index, size } = this;
    if (map === null) throw new VhostUserError("BAD_STATE", `ring ${index}: no memory table yet`);
    if (size === 0) throw new VhostUserError("BAD_STATE", `ring ${index}: no size yet`);
    if (address === null) throw new VhostUserError("BAD_STATE", `ring ${index}: no addresses yet`);
    const part = (name: string, at: bigint, lengthBytes: number, alignment: number): Uint8Array => {
      const view = map.view(at, lengthBytes, alignment);
      if (view !== null) return view;
      throw new VhostUserError(
        "BAD_RING",
        `ring ${index}: ${name} of ${lengthBytes} bytes at 0x${at.toString(16)} is not mapped or misaligned`,
      );
    };
    return splitRing(
      size,
      part("descriptor table", address.descriptors, descriptorTableBytes(size), 16),
      part("available ring", address.available, availableRingBytes(size), 2),
      part("used ring", address.used, usedRingBytes(size), 4),
    );
  }

  /**
   * Makes a queue that begins at `base`, or goes on where the present one stands; it is not yet in use.
   *
   * @throws VhostUserError as {@link Vring.locate}.
   */
  prepare(
    map: MemoryMap | null,
    negotiated: Negotiated,
    address: VringAddress | null = this.address,
  ): SplitDeviceQueue {
    const ring = this.locate(map, address);
    const memory = (map as MemoryMap).memory;
    const { eventIndex, indirect } = negotiated;
    const startIndex = this.queue?.nextAvailable ?? this.base;
    return new SplitDeviceQueue({ ring, memory, eventIndex, indirect, startIndex });
  }

  /** Starts the ring with a prepared queue; it is looked at in the next round. */
  start(queue: SplitDeviceQueue): void {
    this.restarted ||= this.base === 0 && this.hadMoved;
    this.hadMoved = false;
    this.queue = queue;
    this.kicked = true;
    this.brokenReported = false;
  }

  /**
   * Goes on with another queue over the same ring. It is looked at only if it was to be before: a driver that went away
   * without stopping its ring (User-Mode Linux) may have put its memory to other uses, but it does not kick.
   */
  replaceQueue(queue: SplitDeviceQueue): void {
    this.queue = queue;
    this.brokenReported = false;
  }

  /** Sets the number of descriptors, which stops the ring. @throws VhostUserError */
  setSize(size: number): void {
    if (!isQueueSize(size)) throw new VhostUserError("BAD_VALUE", `ring ${this.index}: size ${size}`);
    this.stop();
    this.size = size;
  }

  /** Stops the ring. Returns where a start would go on; the call fd stays, as the front-end may not send it again. */
  stop(): number {
    if (this.queue !== null) {
      this.base = this.queue.nextAvailable;
      this.hadMoved ||= this.base !== 0;
      this.queue = null;
    }
    this.kicked = false;
    this.brokenReported = false;
    return this.base;
  }

  /** Gives the kick fd back, as a stopped ring must not hear it. */
  dropKick(): void {
    this.#dropKick();
    this.polled = false;
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

/** Closes the old descriptor; the new one must never hold us in a write. */
function replace(old: OwnedFd | null, fd: OwnedFd | null): OwnedFd | null {
  if (fd !== null) {
    try {
      setNonBlocking(fd.fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }
  old?.close();
  return fd;
}
