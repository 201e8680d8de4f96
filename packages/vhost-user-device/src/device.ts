import { WINDOW_BYTES_MAX, type WindowTable } from "@passt-ts/iov/windows";
import type { EventLoop } from "@passt-ts/linux/event-loop";
import { EventSignal } from "@passt-ts/linux/eventfd";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { listenUnix, peerCredentials } from "@passt-ts/linux/unix-socket";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { Announcement } from "./announcement.ts";
import { ClientListener } from "./client-listener.ts";
import { type NetConfig, NetConfigSpace } from "./config-space.ts";
import { Connection, type MessageTarget } from "./connection.ts";
import { DEVICE_COUNTERS, DeviceCounter } from "./device-counter.ts";
import { type FeatureOptions, offeredFeatures, offeredProtocolFeatures } from "./features.ts";
import type { Log, LogLevel } from "./log.ts";
import { QueuePair } from "./queue-pair.ts";
import { handleRequest } from "./request-handlers.ts";
import { Session, type SessionContext } from "./session.ts";

/** How often a ring without kicks is looked at. */
const POLL_INTERVAL_MS = 1;

/** Frames handed to the back-end at once, at most. */
const BATCH_FRAMES = 256;

/** What a device is made of. */
export interface VhostUserDeviceOptions {
  /** Tells about sockets and kicks; its owner waits on it. */
  readonly loop: EventLoop;
  /** Gets the guest's memory; the back-end's scratch is in the same table. */
  readonly windows: WindowTable;
  /** Carries the frames. The device attaches its sink, and resets it between guests; its owner closes it. */
  readonly backend: NetBackend;
  readonly log: Log;
  /** What the guest's driver may read about its card. */
  readonly config?: NetConfig;
  readonly features?: FeatureOptions;
  /** Where guest memory is cut into windows; smaller ones are for tests. */
  readonly windowBytesMax?: number;
  /** A front-end has gone, and everything of it was given back. */
  readonly onDisconnect?: () => void;
}

/** A ring in a {@link DeviceState}. */
export interface RingState {
  readonly size: number;
  readonly started: boolean;
  readonly enabled: boolean;
  readonly polled: boolean;
  readonly nextAvailable: number;
}

/** What a device holds now. */
export interface DeviceState {
  readonly connected: boolean;
  /** Descriptors received from the front-end and kept. */
  readonly fds: number;
  readonly regions: number;
  readonly memoryBytes: number;
  readonly features: bigint;
  readonly protocolFeatures: bigint;
  readonly rings: readonly RingState[];
}

/**
 * A vhost-user network device (back-end role) for one front-end after the other.
 *
 * One thread owns it: `loop.wait` delivers what happened, {@link VhostUserDevice.turn} does the work, with a time-out of
 * what is left until {@link VhostUserDevice.deadlineMs}. Nothing that a front-end or guest does ends it.
 */
export class VhostUserDevice {
  /** Indices: {@link DeviceCounter}. */
  readonly counters: Float64Array = new Float64Array(DEVICE_COUNTERS);
  readonly #context: SessionContext;
  readonly #pair: QueuePair;
  readonly #announcement: Announcement;
  readonly #onDisconnect: () => void;
  readonly #target: MessageTarget;
  #listener: ClientListener | null = null;
  #connection: Connection | null = null;
  #session: Session | null = null;
  #resetPending = false;
  #pollAtMs = Infinity;

  constructor(options: VhostUserDeviceOptions) {
    const { loop, windows, backend, log, features = {} } = options;
    const config = options.config ?? {};
    const configured = new NetConfigSpace(config).features;
    this.#pair = new QueuePair(windows, { batchFrames: BATCH_FRAMES, counters: this.counters });
    this.#announcement = new Announcement(windows);
    this.#onDisconnect = options.onDisconnect ?? (() => {});
    this.#context = {
      loop,
      windows,
      backend,
      log,
      config,
      signal: new EventSignal(),
      windowBytesMax: options.windowBytesMax ?? WINDOW_BYTES_MAX,
      pair: this.#pair,
      announcement: this.#announcement,
      offeredFeatures: offeredFeatures(backend.capabilities, configured, features),
      offeredProtocolFeatures: offeredProtocolFeatures(features),
      counters: this.counters,
    };
    const session = () => this.#session as Session;
    this.#target = {
      handle: (message, fds) => handleRequest(session(), message, fds),
      get protocolFeatures() {
        return session().protocolFeatures;
      },
      disconnected: (why, level) => this.#disconnected(why, level),
    };
    backend.attach(this.#pair.rx);
  }

  /** Frames, bytes and drops of both directions. Indices: `NetCounter` of virtio-net. */
  get netCounters(): Float64Array {
    return this.#pair.netCounters;
  }

  /** Listens at `path`; whoever owns the path removes it in the end. @throws SystemError */
  listen(path: string): void {
    // One client may wait while another is accepted and closed.
    this.listenOn(listenUnix({ path, backlog: 8 }));
  }

  /** Takes over a socket that listens already. @throws Error when it cannot be waited for; it is closed then. */
  listenOn(listener: OwnedFd): void {
    this.#listener?.close();
    this.#listener = new ClientListener(listener, this.#context, (client) => this.#admit(client));
  }

  /** Takes over the connected socket of a front-end. @throws Error when another one is connected; it is closed then. */
  adopt(socket: OwnedFd): void {
    if (this.#connection !== null) {
      socket.close();
      throw new Error("a front-end is connected already");
    }
    const pid = pidOf(socket.fd);
    this.#session = new Session(this.#context);
    try {
      this.#connection = new Connection(socket, this.#context, this.#target);
    } catch (error) {
      this.#session = null;
      throw error;
    }
    this.counters[DeviceCounter.connections]++;
    this.#context.log("info", `front-end connected (pid ${pid})`);
  }

  /** Serves a client when none is connected; there is nobody to be told of an error but the log. */
  #admit(client: OwnedFd): void {
    // The end of the one before may not have been read yet, when it went in the same round.
    this.#connection?.onEvent();
    if (this.#connection !== null) {
      this.#turnAway(client);
      return;
    }
    try {
      this.adopt(client);
    } catch (error) {
      this.#context.log("warning", `client closed: ${(error as Error).message}`);
    }
  }

  #turnAway(socket: OwnedFd): void {
    this.counters[DeviceCounter.clientsRefused]++;
    this.#context.log("warning", `second client closed (pid ${pidOf(socket.fd)}): a front-end is connected`);
    socket.close();
  }

  /**
   * Does one round of work: frames of the guest, the back-end's share, notifications.
   *
   * @param nowMs monotonic time.
   * @returns true when more work waits: the next round is due at once, after a look at the loop with time-out 0.
   */
  turn(nowMs: number): boolean {
    const { backend } = this.#context;
    this.#listener?.turn(nowMs);
    const session = this.#session;
    if (session?.rings.driverChanged) {
      session.rings.driverChanged = false;
      this.#resetPending = true;
    }
    if (this.#resetPending) {
      this.#resetPending = false;
      backend.reset(nowMs);
    }
    if (session !== null) this.#announcement.turn(backend, session.headerLength, nowMs);
    let more = this.#pair.transmit(backend, nowMs);
    if (backend.turn(nowMs)) more = true;
    this.#pair.notify(nowMs);
    this.#pollAtMs = Infinity;
    if (session !== null) {
      session.rings.reportBroken();
      session.reportLogged();
      this.#countKicks(session);
      if (this.#pair.polled) this.#pollAtMs = nowMs + POLL_INTERVAL_MS;
    }
    return more;
  }

  /** When {@link VhostUserDevice.turn} is due at the latest though nothing happened, or Infinity. */
  get deadlineMs(): number {
    if (this.#resetPending) return 0;
    const { callDueMs } = this.#pair;
    return Math.min(
      this.#context.backend.deadlineMs,
      this.#pollAtMs,
      callDueMs,
      this.#listener?.deadlineMs ?? Infinity,
    );
  }

  /**
   * Busy polling: while this is true a {@link VhostUserDevice.turn} leaves the guest's kicks suppressed. The owner then
   * calls {@link VhostUserDevice.look} again and again, and {@link VhostUserDevice.allowKicks} before it waits.
   */
  get leavesKicksSuppressed(): boolean {
    return this.#pair.leavesKicksSuppressed;
  }

  set leavesKicksSuppressed(suppressed: boolean) {
    this.#pair.leavesKicksSuppressed = suppressed;
  }

  /** Says whether the guest sent something since its kicks were left suppressed: a turn is due then. */
  look(): boolean {
    return this.#pair.look();
  }

  /** Asks for kicks again that were left suppressed. True when a turn is due first: for what is there no kick comes. */
  allowKicks(): boolean {
    return this.#pair.allowKicks();
  }

  #countKicks(session: Session): void {
    const { served } = session.rings;
    for (let i = 0; i < served.length; i++) {
      const ring = served[i];
      this.counters[DeviceCounter.kicks] += ring.kicks;
      ring.kicks = 0;
    }
  }

  #disconnected(why: string, level: LogLevel): void {
    this.#session?.close();
    this.#session = null;
    this.#connection = null;
    this.#resetPending = true;
    this.#context.log(level, `front-end disconnected: ${why}`);
    this.#onDisconnect();
  }

  /** What the device holds now, for a summary or a test. */
  get state(): DeviceState {
    const session = this.#session;
    return {
      connected: session !== null,
      fds: session?.fdCount ?? 0,
      regions: session?.map?.regionCount ?? 0,
      memoryBytes: session?.map?.sizeBytes ?? 0,
      features: session?.features ?? 0n,
      protocolFeatures: session?.protocolFeatures ?? 0n,
      rings: (session?.rings.served ?? []).map((ring) => ({
        size: ring.size,
        started: ring.queue !== null,
        enabled: ring.enabled,
        polled: ring.polled,
        nextAvailable: ring.queue?.nextAvailable ?? ring.base,
      })),
    };
  }

  /** Ends the connection of the front-end, if there is one; the next one is served. @param why for the log. */
  disconnect(why: string): void {
    this.#connection?.close(why);
  }

  /** Closes the listening socket and the connection, and gives all memory back. */
  close(): void {
    this.#listener?.close();
    this.#listener = null;
    this.#connection?.close("the device was closed");
    this.#announcement.close();
  }
}

/** The peer's process id for a log. */
function pidOf(fd: number): number | string {
  try {
    return peerCredentials(fd).pid;
  } catch {
    return "unknown";
  }
}
