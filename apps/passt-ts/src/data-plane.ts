import { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import { WindowTable } from "@passt-ts/iov/windows";
import { EpollEvent, EventLoop } from "@passt-ts/linux/event-loop";
import { EventSignal } from "@passt-ts/linux/eventfd";
import { writeBytes } from "@passt-ts/linux/file-io";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import { closeFd, OwnedFd } from "@passt-ts/linux/owned-fd";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { PcapWriter } from "@passt-ts/pcap/writer";
import { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { Capture, CapturingBackend } from "./capture.ts";
import { ControlBlock } from "./control-block.ts";
import { filteredLog, type Log } from "./log.ts";
import { offloadFeatures } from "./offloads.ts";
import { statisticsOf } from "./statistics.ts";
import type { StartMessage } from "./worker-messages.ts";

/** What the capture holds back before it writes; a multiple of the page size. */
const CAPTURE_BUFFER_BYTES = 256 * 1024;

/** Monotonic milliseconds. */
const now = (): number => performance.now();

/**
 * Everything that moves the guest's traffic, in one object on one thread: the loop, the device with the guest's memory
 * and rings, the back-end with its sockets, flows and timers, and the capture.
 */
export class DataPlane {
  readonly #loop: EventLoop = new EventLoop();
  readonly #windows: WindowTable = new WindowTable(copyBytesNatively);
  readonly #control: ControlBlock;
  readonly #signal: EventSignal = new EventSignal();
  readonly #sockets: SocketBackend;
  readonly #backend: NetBackend;
  readonly #capture: Capture | null;
  readonly #pcapFd: number | null;
  readonly #device: VhostUserDevice;
  readonly #log: Log;
  #ending = false;

  /** @throws SystemError when the kernel refuses something that the data plane cannot do without. */
  constructor(start: StartMessage, log: Log) {
    const { configuration, listenFd, frontEndFd } = start;
    this.#log = filteredLog(configuration.logLevel, log);
    this.#control = new ControlBlock(start.control.eventFd, start.control.shared);
    this.#loop.add(start.control.eventFd, EpollEvent.readable, { onEvent: () => this.#onCommand() }, 0);
    this.#sockets = new SocketBackend({
      loop: this.#loop,
      windows: this.#windows,
      link: configuration,
      forwards: start.forwards,
      peekOffset: configuration.peekOffset,
      random: secureRandom,
      startSeconds: Date.now() / 1000,
      clock: now,
      warn: (text) => this.#log("warning", text),
    });
    this.#pcapFd = start.pcapFd;
    this.#capture = start.pcapFd === null ? null : this.#openCapture(start.pcapFd);
    this.#backend = this.#capture === null ? this.#sockets : new CapturingBackend(this.#sockets, this.#capture);
    this.#device = new VhostUserDevice({
      loop: this.#loop,
      windows: this.#windows,
      backend: this.#backend,
      log: this.#log,
      features: offloadFeatures(configuration.offloads),
      config: { macAddress: configuration.guestMac, ...(configuration.mtu >= 68 ? { mtu: configuration.mtu } : {}) },
      onDisconnect: () => {
        this.#log("debug", statisticsOf(this.#device, this.#sockets, this.#capture));
        if (configuration.oneOff) this.#ending = true;
      },
    });
    if (listenFd !== null) this.#device.listenOn(new OwnedFd(listenFd));
    if (frontEndFd !== null) this.#device.adopt(new OwnedFd(frontEndFd));
  }

  /** Serves front-ends until it is told to stop, or the only one of a one-off has gone. */
  run(): void {
    while (!this.#ending) {
      const nowMs = now();
      const more = this.#device.turn(nowMs);
      this.#loop.wait(more ? 0 : Math.max(0, this.#device.deadlineMs - now()));
    }
  }

  /** Closes everything: sockets, mappings, the capture. */
  close(): void {
    this.#log("debug", statisticsOf(this.#device, this.#sockets, this.#capture));
    this.#device.close();
    this.#backend.close();
    if (this.#pcapFd !== null) closeFd(this.#pcapFd);
    this.#loop.close();
  }

  #onCommand(): void {
    this.#signal.drain(this.#control.eventFd);
    if (this.#control.stopRequested) this.#ending = true;
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
    return new Capture(writer, this.#windows, () => performance.timeOrigin + performance.now());
  }
}

/** Uniform in [0, 1), 32 bits of it, from the kernel's generator. */
function secureRandom(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] / 0x1_0000_0000;
}
