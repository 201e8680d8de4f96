/**
 * One front-end and what it has set up. It may be hostile: each request is checked whole before its first effect, and
 * what a request refuses leaves everything as it was.
 */
import type { WindowTable } from "@passt-ts/iov/windows";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import { featureNames, hasFeature, ProtocolFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import type { MemoryRegion, VringAddress } from "@passt-ts/vhost-user-proto/payload";
import { describeNetFault } from "@passt-ts/virtio-net/net-fault";
import { type NetConfig, NetConfigSpace } from "./config-space.ts";
import { DeviceCounter } from "./device-counter.ts";
import { type Negotiated, negotiate } from "./features.ts";
import type { Log } from "./log.ts";
import { MemoryMap } from "./memory-map.ts";
import type { QueuePair } from "./queue-pair.ts";
import type { ReceivedFds } from "./received-fds.ts";
import { Vring, type VringContext } from "./vring.ts";

/** Virtqueues of one pair (virtio 1.3, 5.1.2). */
const RX_RING = 0;
const TX_RING = 1;

/** What a session works with; all of it outlives the session. */
export interface SessionContext extends VringContext {
  readonly windows: WindowTable;
  readonly windowBytesMax: number;
  readonly backend: NetBackend;
  readonly pair: QueuePair;
  /** What each front-end finds in its configuration space at first. */
  readonly config: NetConfig;
  readonly offeredFeatures: bigint;
  readonly offeredProtocolFeatures: bigint;
  /** Indices: DeviceCounter. */
  readonly counters: Float64Array;
  readonly log: Log;
}

/** State and operations of one connection, one method for each thing that a front-end can ask for. */
export class Session {
  readonly context: SessionContext;
  readonly rings: readonly Vring[];
  readonly config: NetConfigSpace;
  features = 0n;
  protocolFeatures = 0n;
  /** The device status of virtio, as far as the front-end tells. */
  status = 0;
  map: MemoryMap | null = null;
  /** The guest's driver is a new one: the back-end is to be reset. The owner clears it. */
  driverChanged = false;
  #negotiated: Negotiated = negotiate(0n);
  #backendRequests: OwnedFd | null = null;

  constructor(context: SessionContext) {
    this.context = context;
    this.config = new NetConfigSpace(context.config);
    this.rings = [new Vring(RX_RING, context), new Vring(TX_RING, context)];
    // Nothing of what the front-end before agreed on holds for this one.
    context.backend.setCapabilities(0, this.#negotiated.headerLength);
  }

  /** Acknowledges virtio features. @throws VhostUserError when one was not offered. */
  setFeatures(features: bigint): void {
    const { offeredFeatures, backend, log } = this.context;
    const surplus = features & ~offeredFeatures;
    if (surplus !== 0n) {
      throw new VhostUserError("BAD_VALUE", `features not offered: ${featureNames(surplus, VirtioFeature).join(" ")}`);
    }
    let negotiated = negotiate(features);
    if (backend.setCapabilities(negotiated.capabilities, negotiated.headerLength) < 0) {
      log("warning", "the back-end cannot work with the features of this driver; going on without offloads");
      negotiated = { ...negotiated, capabilities: 0 };
      backend.setCapabilities(0, negotiated.headerLength);
    }
    this.features = features;
    this.#negotiated = negotiated;
    log("debug", `features: ${featureNames(features, VirtioFeature).join(" ")}`);
    if (!hasFeature(features, VirtioFeature.PROTOCOL_FEATURES)) for (const ring of this.rings) ring.enabled = true;
    this.#deriveRings(this.map);
    this.#bind();
  }

  /** Acknowledges protocol features. @throws VhostUserError when one was not offered. */
  setProtocolFeatures(features: bigint): void {
    const surplus = features & ~this.context.offeredProtocolFeatures;
    if (surplus !== 0n) {
      const names = featureNames(surplus, ProtocolFeature).join(" ");
      throw new VhostUserError("BAD_VALUE", `protocol features not offered: ${names}`);
    }
    this.protocolFeatures = features;
    this.context.log("debug", `protocol features: ${featureNames(features, ProtocolFeature).join(" ")}`);
  }

  /**
   * Replaces the guest memory; rings that are started go on in the new one, or stop where it does not hold them.
   *
   * @param fds one file for each region, only borrowed.
   * @throws VhostUserError, SystemError or RegionError; the old memory stays then.
   */
  setMemoryTable(regions: readonly MemoryRegion[], fds: ReceivedFds): void {
    const { windows, windowBytesMax, log } = this.context;
    const old = this.map;
    const map = MemoryMap.open(windows, regions, fds, windowBytesMax);
    this.#deriveRings(map);
    this.map = map;
    this.#bind();
    // Last, when nothing names the old windows any more.
    old?.close();
    const size = `${map.regionCount} regions, ${Math.ceil(map.sizeBytes / 2 ** 20)} MiB`;
    log("info", `guest memory: ${size}, ${map.sealed ? "sealed" : "not sealed"} against shrinking`);
  }

  /** Sets the number of descriptors, which stops the ring. @throws VhostUserError BAD_INDEX, BAD_VALUE */
  setVringSize(index: number, size: number): void {
    this.ring(index).setSize(size);
    this.#bind();
  }

  /**
   * Sets where a ring lies; one that is started goes on there. No order is prescribed: before size and memory are known
   * the addresses are only kept, and checked by the start.
   *
   * @throws VhostUserError BAD_INDEX, BAD_RING
   */
  setVringAddress(address: VringAddress): void {
    const ring = this.ring(address.index);
    if (ring.queue !== null) ring.replaceQueue(ring.prepare(this.map, this.#negotiated, address));
    else if (this.map !== null && ring.size > 0) ring.locate(this.map, address);
    ring.address = address;
    this.#bind();
  }

  /**
   * Sets where the next start begins, which stops a ring that is started: User-Mode Linux does not stop it itself.
   *
   * @throws VhostUserError BAD_INDEX, BAD_VALUE
   */
  setVringBase(index: number, base: number): void {
    if (base > 0xffff) throw new VhostUserError("BAD_VALUE", `ring ${index}: base ${base}`);
    const ring = this.ring(index);
    ring.stop();
    ring.base = base;
    this.#bind();
  }

  /** Stops a ring and closes its kick fd. Returns the next available index. @throws VhostUserError BAD_INDEX */
  getVringBase(index: number): number {
    const ring = this.ring(index);
    const base = ring.stop();
    ring.dropKick();
    this.#bind();
    return base;
  }

  /**
   * Sets the kick fd, or polling, and starts the ring if it is stopped: without waiting for the first kick, as a driver
   * that was there before its front-end reconnected does not kick again. The fd is owned here, and closed at a throw.
   *
   * @throws VhostUserError BAD_INDEX, BAD_STATE, BAD_RING, BAD_FDS
   */
  setVringKick(index: number, fd: OwnedFd | null): void {
    const ring = this.#ringFor(index, fd);
    let queue = ring.queue;
    try {
      queue ??= ring.prepare(this.map, this.#negotiated);
    } catch (error) {
      fd?.close();
      throw error;
    }
    ring.setKick(fd);
    if (fd === null) this.context.log("info", `ring ${index} is polled: the driver gives no kick fd`);
    if (ring.queue !== null) return;
    ring.start(queue);
    if (this.rings.every((each) => each.restarted)) {
      for (const each of this.rings) each.restarted = false;
      this.driverChanged = true;
    }
    this.#bind();
  }

  /** Sets the call fd; null: the driver polls. The fd is owned here, and closed at a throw. @throws VhostUserError */
  setVringCall(index: number, fd: OwnedFd | null): void {
    const ring = this.#ringFor(index, fd);
    ring.setCall(fd);
    // A notification may have gone to the descriptor before this one; one too many does no harm.
    if (ring.queue !== null) ring.call();
  }

  /** Sets the error fd, or none. The fd is owned here, and closed at a throw. @throws VhostUserError BAD_INDEX */
  setVringError(index: number, fd: OwnedFd | null): void {
    this.#ringFor(index, fd).setError(fd);
  }

  /** Enables (1) or disables (0) a ring, started or not. @throws VhostUserError BAD_INDEX, BAD_VALUE */
  enableVring(index: number, value: number): void {
    if (value > 1) throw new VhostUserError("BAD_VALUE", `ring ${index}: enable ${value}`);
    const ring = this.ring(index);
    ring.enabled = value === 1;
    this.#bind();
  }

  /** RESET_OWNER: what the specification recommends is to disable all rings. */
  disableAll(): void {
    for (const ring of this.rings) ring.enabled = false;
    this.#bind();
  }

  /** Keeps the device status of virtio; 0 is a reset, which stops the rings. */
  setStatus(status: number): void {
    this.status = status;
    if (status !== 0) return;
    // Whether the next driver is another one shows when it starts: at base 0, or where this one stood.
    for (const ring of this.rings) {
      ring.stop();
      ring.base = 0;
    }
    this.#bind();
  }

  /** Keeps what the front-end gave for requests of ours, a socket or a pipe; we send none so far. */
  setBackendRequests(fd: OwnedFd | null): void {
    this.#backendRequests?.close();
    this.#backendRequests = fd;
  }

  /** Reports queues that broke since the last call: once each, in the log and on the error fd. */
  reportBroken(): void {
    const { pair } = this.context;
    this.#reportBroken(this.rings[RX_RING], pair.rx.brokenReason);
    this.#reportBroken(this.rings[TX_RING], pair.tx.brokenReason);
  }

  #reportBroken(ring: Vring, reason: number): void {
    if (reason === 0 || ring.brokenReported) return;
    ring.brokenReported = true;
    const { counters, log } = this.context;
    counters[DeviceCounter.queuesBroken]++;
    const count = counters[DeviceCounter.queuesBroken];
    const name = ring.index === RX_RING ? "receive" : "transmit";
    log("error", `${name} ring broken until it is reset: ${describeNetFault(reason)} (${count} so far)`);
    ring.callError();
  }

  /** Descriptors held for the front-end, its socket not counted. */
  get fdCount(): number {
    return this.rings.reduce((sum, ring) => sum + ring.fdCount, this.#backendRequests === null ? 0 : 1);
  }

  /** Stops the rings and gives everything back. */
  close(): void {
    for (const ring of this.rings) ring.close();
    this.context.pair.bind(null, null, negotiate(0n));
    this.map?.close();
    this.map = null;
    this.setBackendRequests(null);
  }

  /** @throws VhostUserError BAD_INDEX */
  ring(index: number): Vring {
    const ring = this.rings[index];
    if (ring === undefined) throw new VhostUserError("BAD_INDEX", `no ring ${index}`);
    return ring;
  }

  /** The same for a request whose descriptor has been taken: it is closed when there is no such ring. */
  #ringFor(index: number, fd: OwnedFd | null): Vring {
    if (this.rings[index] === undefined) fd?.close();
    return this.ring(index);
  }

  /** Makes the queues of started rings again, in `map` and for what is negotiated now. */
  #deriveRings(map: MemoryMap | null): void {
    for (const ring of this.rings) {
      if (ring.queue === null) continue;
      try {
        ring.replaceQueue(ring.prepare(map, this.#negotiated));
      } catch (error) {
        if (!(error instanceof VhostUserError)) throw error;
        this.context.log("warning", `ring ${ring.index} stopped: ${error.message}`);
        ring.stop();
      }
    }
  }

  #bind(): void {
    this.context.pair.bind(this.rings[RX_RING], this.rings[TX_RING], this.#negotiated);
  }
}
