import type { WindowTable } from "@passt-ts/iov/windows";
import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";
import { Errno, SystemError } from "@passt-ts/linux/system-error";
import type { NetBackend, NetHeaderLength } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { isNetHeaderLength } from "@passt-ts/net-backend/header-length";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { TAP_COUNTERS } from "./tap-counter.ts";
import { TapMemory } from "./tap-memory.ts";
import { probeCapabilities, tapOffloadOf } from "./tap-offload.ts";
import type { TapPort } from "./tap-port.ts";
import { TapReceiver } from "./tap-receiver.ts";
import { TapSender } from "./tap-sender.ts";

/** How often a deleted interface is looked for. */
const RETRY_MS = 1000;
/** The shortest header that the kernel puts in front of frames, for a guest that has none. */
const HEADER_BYTES_MIN = 10;

const EVENTS: number = EpollEvent.readable | EpollEvent.writable | EpollEvent.edgeTriggered;

/** Tells the user what happened to the interface, once for each change. */
export type ReportLink = (level: "info" | "warning", text: string) => void;

/** What a tap back-end is made of. */
export interface TapBackendOptions {
  readonly loop: EventLoop;
  /** The table that the guest's memory is in; the back-end adds a window of its own. */
  readonly windows: WindowTable;
  /** The open tap; the back-end owns it from now on, also when its constructor throws. */
  readonly port: TapPort;
  /**
   * Opens the interface again after it was deleted: null while it is not there, and what it throws counts as that but
   * is reported. Without it a deleted interface is gone for good.
   */
  readonly reopen?: () => TapPort | null;
  readonly report: ReportLink;
}

/** Carries the frames of one guest to and from a tap interface of the host, straight from and to the guest's memory. */
export class TapBackend implements NetBackend {
  readonly capabilities: number;
  /** By `TapCounter`. */
  readonly counters: Float64Array = new Float64Array(TAP_COUNTERS);
  /** The name of the interface. */
  readonly name: string;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly #options: TapBackendOptions;
  readonly #memory: TapMemory;
  readonly #sender: TapSender;
  readonly #receiver: TapReceiver;
  readonly #events: EventHandler = { onEvent: (_token, events) => this.#onEvent(events) };
  #port: TapPort | null = null;
  #registration = -1;
  #capabilities = 0;
  #headerLength: NetHeaderLength = 0;
  #isDown = false;
  #isClosed = false;
  /** Why the interface could not be opened again, as it was reported last. */
  #problem = "";

  /** @throws SystemError when the kernel refuses memory or events. */
  constructor(options: TapBackendOptions) {
    const { port, windows } = options;
    this.#options = options;
    this.name = port.name;
    try {
      this.#memory = new TapMemory(windows);
    } catch (error) {
      port.close();
      throw error;
    }
    this.#sender = new TapSender(this.#memory, this.counters);
    this.#receiver = new TapReceiver(this.#memory, this.counters);
    this.capabilities = probeCapabilities(port);
    const result = this.#open(port);
    if (result >= 0) return;
    this.#memory.close();
    throw new SystemError("epoll_ctl", result, port.name);
  }

  /** The interface is there; it may be down. */
  get isOpen(): boolean {
    return this.#port !== null;
  }

  get full(): boolean {
    return this.#sender.waits;
  }

  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number {
    if (!isNetHeaderLength(headerLength) || (capabilities & ~this.capabilities) !== 0) return -1;
    const offload = tapOffloadOf(capabilities);
    if (offload < 0) return -1;
    const port = this.#port;
    if (port?.hasHeader && port.setOffload(offload) < 0) return -1;
    this.#capabilities = capabilities;
    this.#headerLength = headerLength;
    if (port !== null) this.#bind(port);
    return 0;
  }

  attach(sink: RxSink): void {
    this.#receiver.attach(sink);
  }

  send(frames: FrameBatch, count: number, _nowMs: number): void {
    if (this.#isClosed) return;
    if (this.#port === null) this.#sender.dropAll(count);
    else this.#heard(this.#sender.send(frames, count));
  }

  turn(nowMs: number): boolean {
    if (this.#port === null) return this.#isClosed ? false : this.#retry(nowMs);
    const wasFull = this.full;
    if (wasFull && this.#sender.writable) this.#heard(this.#sender.flush());
    const result = this.#receiver.turn();
    if (result < 0) this.#lost();
    return result > 0 || (wasFull && !this.full);
  }

  reset(_nowMs: number): void {
    this.#sender.clear();
    this.#receiver.drain();
  }

  discard(): number {
    return this.#receiver.discard();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#shut();
    this.#memory.close();
  }

  /** Registers a tap and points both directions at it. 0 or -errno, and then it is closed. */
  #open(port: TapPort): number {
    const registration = this.#options.loop.add(port.fd, EVENTS, this.#events, 0);
    if (registration < 0) {
      port.close();
      return registration;
    }
    this.#port = port;
    this.#registration = registration;
    this.#bind(port);
    return 0;
  }

  #bind(port: TapPort): void {
    const headerLength = port.hasHeader ? chooseHeaderLength(port, this.#headerLength) : 0;
    this.#sender.bind(port.fd, headerLength);
    this.#receiver.bind(port.fd, headerLength, this.#capabilities);
  }

  /** Closes the tap and forgets what waits, either way. */
  #shut(): void {
    if (this.#port === null) return;
    this.#options.loop.remove(this.#registration);
    this.#port.close();
    this.#port = null;
    this.#sender.bind(-1, 0);
    this.#sender.dropAll(0);
    this.#receiver.bind(-1, 0, 0);
    this.#receiver.clear();
  }

  #onEvent(events: number): void {
    if ((events & EpollEvent.readable) !== 0) this.#receiver.readable = true;
    if ((events & EpollEvent.writable) !== 0) this.#sender.writable = true;
    if ((events & (EpollEvent.error | EpollEvent.hangUp)) !== 0) this.#lost();
  }

  /** Learns from how a write went: frames written, or -errno when the interface takes none. */
  #heard(result: number): void {
    const { report } = this.#options;
    if (result === -Errno.EIO) {
      if (!this.#isDown) report("warning", `${this.name} is down, frames are dropped: ip link set ${this.name} up`);
      this.#isDown = true;
    } else if (result < 0) this.#lost();
    else if (result > 0 && this.#isDown) {
      this.#isDown = false;
      report("info", `${this.name} is up again`);
    }
  }

  /** The interface was deleted. */
  #lost(): void {
    if (this.#port === null) return;
    const { report, reopen } = this.#options;
    this.#shut();
    this.#isDown = false;
    const until = reopen === undefined ? "for good" : "until it is there again";
    report("warning", `${this.name} was deleted: frames are dropped ${until}`);
    this.deadlineMs = reopen === undefined ? Number.POSITIVE_INFINITY : 0;
  }

  /** Looks whether the interface is there again. True when it is: its frames are due. */
  #retry(nowMs: number): boolean {
    const { reopen, report } = this.#options;
    if (reopen === undefined || nowMs < this.deadlineMs) return false;
    this.deadlineMs = nowMs + RETRY_MS;
    const port = this.#reopened(reopen);
    if (port === null) return false;
    if (port.hasHeader && port.setOffload(tapOffloadOf(this.#capabilities)) < 0) {
      port.close();
      return false;
    }
    if (this.#open(port) < 0) return false;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#problem = "";
    report("info", `${this.name} is there again`);
    return true;
  }

  /** A tap that cannot be opened yet is tried again, like one that is not there; why is said once. */
  #reopened(reopen: () => TapPort | null): TapPort | null {
    try {
      return reopen();
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem)
        this.#options.report("warning", `${this.name} is there again and cannot be opened: ${message}`);
      this.#problem = message;
      return null;
    }
  }
}

/** Ours is the header that the guest has, where the kernel has it as well: else the shortest, and the fields are the same. */
function chooseHeaderLength(port: TapPort, wanted: NetHeaderLength): number {
  if (wanted !== 0 && port.setHeaderLength(wanted) === 0) return wanted;
  port.setHeaderLength(HEADER_BYTES_MIN);
  return HEADER_BYTES_MIN;
}
