import { deserialize } from "node:v8";
import type { LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import { TapBackend } from "@passt-ts/backend-tap/tap-backend";
import { WindowTable } from "@passt-ts/iov/windows";
import { EpollEvent, EventLoop } from "@passt-ts/linux/event-loop";
import { EventSignal } from "@passt-ts/linux/eventfd";
import { writeBytes } from "@passt-ts/linux/file-io";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import { closeFd, OwnedFd } from "@passt-ts/linux/owned-fd";
import { adoptTap } from "@passt-ts/linux/tap-device";
import { yieldProcessor } from "@passt-ts/linux/yield-processor";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { PcapWriter } from "@passt-ts/pcap/writer";
import { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { DeviceCounter } from "@passt-ts/vhost-user-device/device-counter";
import { featureMask, ProtocolFeature } from "@passt-ts/vhost-user-proto/features";
import { BACKENDS } from "./backend-kinds.ts";
import { BusyPoll, type Polled } from "./busy-poll.ts";
import { Capture, CapturingBackend } from "./capture.ts";
import { ControlBlock } from "./control-block.ts";
import { FaultGuard } from "./fault-guard.ts";
import { FrameTrace } from "./frame-trace.ts";
import { GuestReporter } from "./guest-reporter.ts";
import { filteredLog, type Log } from "./log.ts";
import { offloadFeatures } from "./offloads.ts";
import { statisticsOf } from "./statistics.ts";
import { StatisticsReporter } from "./statistics-reporter.ts";
import type { StartMessage, WorkerMessage } from "./worker-messages.ts";

/** What the capture gathers within a turn before it writes; a multiple of the page size. */
const CAPTURE_BUFFER_BYTES = 256 * 1024;

/**
 * Not offered over an inherited descriptor: QEMU 11.1 that started us (-netdev passt) then finds its end of the channel
 * closed ("Unable to read from socket: Socket operation on non-socket"), and sends something else for the guest's memory.
 */
const BACK_END_CHANNEL: bigint = featureMask(ProtocolFeature.BACKEND_REQ);

/** Monotonic milliseconds. */
const now = (): number => performance.now();

/**
 * Everything that moves the guest's traffic, in one object on one thread: the loop, the device with the guest's memory
 * and rings, the back-end with its sockets, flows and timers or its tap, and the capture.
 */
export class DataPlane {
  readonly #loop: EventLoop = new EventLoop();
  readonly #windows: WindowTable = new WindowTable(copyBytesNatively);
  readonly #control: ControlBlock;
  readonly #signal: EventSignal = new EventSignal();
  /** The back-end as it is: one of the two; and with what is around it. */
  readonly #sockets: SocketBackend | null;
  readonly #tap: TapBackend | null;
  readonly #backend: NetBackend;
  readonly #capture: Capture | null;
  readonly #pcapFd: number | null;
  readonly #device: VhostUserDevice;
  readonly #log: Log;
  readonly #say: (message: WorkerMessage) => void;
  readonly #faults: FaultGuard;
  readonly #reporter: StatisticsReporter;
  /** Null where the guest's services are not ours. */
  readonly #guestReporter: GuestReporter | null;
  readonly #busyPoll: BusyPoll;
  readonly #polled: Polled = {
    wait: (timeoutMs) => this.#loop.wait(timeoutMs),
    look: () => this.#device.look(),
    pause: yieldProcessor,
    allowKicks: () => this.#device.allowKicks(),
  };
  #ending = false;

  /**
   * @param wrap puts something around the back-end, for tests.
   * @throws SystemError when the kernel refuses something that the data plane cannot do without.
   */
  constructor(
    start: StartMessage,
    say: (message: WorkerMessage) => void,
    wrap: (backend: NetBackend) => NetBackend = (backend) => backend,
  ) {
    const { configuration, listenFd, frontEndFd } = start;
    this.#say = say;
    this.#log = filteredLog(configuration.logLevel, (level, text) => say({ kind: "log", level, text }));
    this.#control = new ControlBlock(start.control.eventFd, start.control.shared);
    this.#loop.add(start.control.eventFd, EpollEvent.readable, { onEvent: () => this.#onCommand() }, 0);
    // Edge-triggered: it is the main thread that reads them, whenever it comes to it.
    const changes = EpollEvent.readable | EpollEvent.edgeTriggered;
    for (const fd of start.watchedFds) this.#loop.add(fd, changes, { onEvent: () => this.#onWatched() }, 0);
    const backend = this.#createBackend(start);
    this.#sockets = backend instanceof SocketBackend ? backend : null;
    this.#tap = backend instanceof TapBackend ? backend : null;
    this.#pcapFd = start.pcapFd;
    this.#capture = start.pcapFd === null ? null : this.#openCapture(start.pcapFd);
    this.#backend = this.#observed(wrap(backend), configuration.logLevel === "trace");
    this.#device = new VhostUserDevice({
      loop: this.#loop,
      windows: this.#windows,
      backend: this.#backend,
      log: this.#log,
      features: {
        ...offloadFeatures(configuration.offloads),
        ...(frontEndFd === null ? {} : { withholdProtocol: BACK_END_CHANNEL }),
      },
      config: { macAddress: configuration.guestMac, ...(configuration.mtu >= 68 ? { mtu: configuration.mtu } : {}) },
      onDisconnect: () => {
        // An exception may have cut the turn short that recorded what led to it.
        this.#capture?.flush();
        this.#guestReporter?.guestGone();
        this.#log("debug", this.#statistics());
        if (configuration.oneOff && (frontEndFd !== null || this.#hasHeardFrontEnd)) this.#ending = true;
      },
    });
    if (this.#sockets !== null) {
      const skips = this.#sockets.engines?.peekOffset ? "used" : "not used";
      this.#log("debug", `SO_PEEK_OFF is ${skips}`);
    }
    this.#faults = new FaultGuard(this.#log);
    this.#reporter = new StatisticsReporter({
      intervalMs: configuration.statisticsIntervalMs,
      text: () => this.#statistics(),
      log: this.#log,
      nowMs: now(),
    });
    const reporting = { level: configuration.logLevel, log: this.#log, link: configuration };
    this.#guestReporter = this.#sockets && new GuestReporter({ guest: this.#sockets.guest, ...reporting });
    this.#busyPoll = new BusyPoll(configuration.busyPollUs / 1000, now);
    if (listenFd !== null) this.#device.listenOn(new OwnedFd(listenFd));
    if (frontEndFd !== null) this.#device.adopt(new OwnedFd(frontEndFd));
  }

  /**
   * Serves front-ends until it is told to stop, or the only one of a one-off has gone. An exception that nothing
   * foresaw costs the front-end its connection, and not the next one.
   *
   * @throws Error after too many of them.
   */
  run(): void {
    while (!this.#ending) {
      try {
        this.#turn();
      } catch (error) {
        this.#recover(error);
      }
    }
  }

  /** Closes everything: sockets, mappings, the capture. */
  close(): void {
    this.#log("debug", this.#statistics());
    this.#device.close();
    this.#backend.close();
    if (this.#pcapFd !== null) closeFd(this.#pcapFd);
    this.#loop.close();
  }

  #turn(): void {
    const nowMs = now();
    this.#reporter.turn(nowMs);
    this.#device.leavesKicksSuppressed = this.#busyPoll.spinsNext;
    const more = this.#device.turn(nowMs);
    this.#reportGuest(nowMs);
    // Who reads the capture while we run sees what was before we sleep.
    this.#capture?.flush();
    if (more) this.#loop.wait(0);
    else this.#busyPoll.wait(this.#polled, this.#deadlineMs);
  }

  get #deadlineMs(): number {
    const reportMs = Math.min(this.#reporter.deadlineMs, this.#guestReporter?.deadlineMs ?? Number.POSITIVE_INFINITY);
    return Math.min(this.#device.deadlineMs, reportMs);
  }

  #reportGuest(nowMs: number): void {
    const services = this.#sockets?.engines?.services.responders;
    if (services !== undefined) this.#guestReporter?.turn(services, nowMs);
  }

  /** Takes the guest's connection and memory away, so that the device and the back-end begin anew. */
  #recover(error: unknown): void {
    this.#faults.caught(error, now());
    try {
      this.#device.disconnect("something unexpected happened");
    } catch (another) {
      this.#faults.caught(another, now());
    }
  }

  #statistics(): string {
    return statisticsOf({
      device: this.#device,
      sockets: this.#sockets,
      tap: this.#tap,
      capture: this.#capture,
    });
  }

  #createBackend({ backendName, tapFd, configuration, forwards, timers }: StartMessage): NetBackend {
    const [loop, windows] = [this.#loop, this.#windows];
    return BACKENDS.create(backendName, {
      loop,
      windows,
      report: (level, text) => this.#log(level, text),
      tap: tapFd === null ? null : adoptTap(new OwnedFd(tapFd)),
      sockets: () =>
        new SocketBackend({
          loop,
          windows,
          link: configuration,
          forwards,
          timers,
          peekOffset: configuration.peekOffset,
          random: secureRandom,
          startSeconds: Date.now() / 1000,
          clock: now,
          warn: (text) => this.#log("warning", text),
        }),
    });
  }

  /** The back-end, with whoever wants to see its frames around it. */
  #observed(backend: NetBackend, isTraced: boolean): NetBackend {
    const captured = this.#capture === null ? backend : new CapturingBackend(backend, this.#capture);
    return isTraced ? new CapturingBackend(captured, new FrameTrace(this.#windows, this.#log)) : captured;
  }

  /** Whoever only looks whether the path is served connects as well, and says nothing. */
  get #hasHeardFrontEnd(): boolean {
    const { counters } = this.#device;
    return counters[DeviceCounter.messages] + counters[DeviceCounter.messagesRefused] > 0;
  }

  #onCommand(): void {
    this.#signal.drain(this.#control.eventFd);
    if (this.#control.stopRequested) this.#ending = true;
    const message = this.#control.take();
    if (message === null) return;
    this.#configure(deserialize(message) as LinkConfiguration);
    this.#say({ kind: "linkTaken" });
  }

  #configure(link: LinkConfiguration): void {
    try {
      this.#sockets?.configure(link, now());
      if (this.#guestReporter !== null) this.#guestReporter.link = link;
    } catch (error) {
      this.#log("warning", `the guest's link stays as it was: ${(error as Error).message}`);
    }
  }

  #onWatched(): void {
    if (this.#control.claimWatched()) this.#say({ kind: "watched" });
  }

  #openCapture(fd: number): Capture {
    const stagingWindow = this.#windows.add(new Uint8Array(CAPTURE_BUFFER_BYTES));
    const sink = (bytes: Uint8Array, lengthBytes: number): number => {
      const written = writeBytes(fd, bytes, 0, lengthBytes);
      if (written === lengthBytes) return written;
      this.#log("error", "the capture cannot be written any further");
      return written < 0 ? written : -1;
    };
    const writer = new PcapWriter({ windows: this.#windows, stagingWindow, sink });
    // A capture without a record is a capture, too.
    writer.flush();
    return new Capture(writer, this.#windows, () => performance.timeOrigin + performance.now());
  }
}

/** Uniform in [0, 1), 32 bits of it, from the kernel's generator. */
function secureRandom(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] / 0x1_0000_0000;
}
