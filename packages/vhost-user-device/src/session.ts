/**
 * One front-end and what it has set up. It may be hostile: each request is checked whole before its first effect, and
 * what a request refuses leaves everything as it was.
 */
import type { WindowTable } from "@passt-ts/iov/windows";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import { featureNames, hasFeature, ProtocolFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import type { InflightArea, LogArea, MemoryRegion } from "@passt-ts/vhost-user-proto/payload";
import type { Announcement } from "./announcement.ts";
import { BackEndChannel } from "./back-end-channel.ts";
import { type NetConfig, NetConfigSpace } from "./config-space.ts";
import { DirtyLog } from "./dirty-log.ts";
import { type Negotiated, negotiate, offeredUnder } from "./features.ts";
import { InflightBuffer } from "./inflight-buffer.ts";
import { MemoryMap } from "./memory-map.ts";
import type { ReceivedFds } from "./received-fds.ts";
import { RepeatedLines } from "./repeated-lines.ts";
import { replaceFd } from "./replaced-fd.ts";
import { RingBank, type RingBankContext } from "./ring-bank.ts";

/** DEVICE_NEEDS_RESET of the device status (virtio 1.3, 2.1). */
const NEEDS_RESET = 0x40;

/** What in-band notifications go with; without both the connection is to end (vhost-user, "In-band notifications"). */
const INBAND_NEEDS = [ProtocolFeature.BACKEND_REQ, ProtocolFeature.REPLY_ACK];

/** What a session works with; all of it outlives the session. */
export interface SessionContext extends RingBankContext {
  readonly windows: WindowTable;
  readonly windowBytesMax: number;
  readonly backend: NetBackend;
  readonly announcement: Announcement;
  /** What each front-end finds in its configuration space at first. */
  readonly config: NetConfig;
  readonly offeredFeatures: bigint;
  readonly offeredProtocolFeatures: bigint;
}

/** State and operations of one connection, one method for each thing that a front-end can ask for. */
export class Session {
  readonly context: SessionContext;
  readonly rings: RingBank;
  readonly config: NetConfigSpace;
  features = 0n;
  protocolFeatures = 0n;
  map: MemoryMap | null = null;
  readonly #lines: RepeatedLines;
  #protocolIsChosen = false;
  #status = 0;
  #negotiated: Negotiated = negotiate(0n);
  #channel: BackEndChannel | null = null;
  #dirtyLog: DirtyLog | null = null;
  #logFd: OwnedFd | null = null;
  #inflight: InflightBuffer | null = null;

  constructor(context: SessionContext) {
    this.context = context;
    this.#lines = new RepeatedLines(context.log);
    this.config = new NetConfigSpace(context.config);
    this.rings = new RingBank(context);
    // Nothing of what the front-end before agreed on holds for this one.
    context.backend.setCapabilities(0, this.#negotiated.headerLength);
    context.announcement.cancel();
  }

  /** What GET_FEATURES is answered: before protocol features are chosen, all that is offered. */
  get offeredFeatures(): bigint {
    const { offeredFeatures } = this.context;
    return this.#protocolIsChosen ? offeredUnder(this.protocolFeatures, offeredFeatures) : offeredFeatures;
  }

  /** Acknowledges virtio features. @throws VhostUserError when one was not offered. */
  setFeatures(features: bigint): void {
    const surplus = features & ~this.context.offeredFeatures;
    if (surplus !== 0n) {
      throw new VhostUserError("BAD_VALUE", `features not offered: ${featureNames(surplus, VirtioFeature).join(" ")}`);
    }
    this.context.log("debug", `features: ${featureNames(features, VirtioFeature).join(" ")}`);
    this.#useFeatures(features);
    if (!hasFeature(features, VirtioFeature.PROTOCOL_FEATURES)) this.rings.enableAll(true);
  }

  #useFeatures(features: bigint): void {
    const { backend } = this.context;
    let negotiated = negotiate(features);
    if (backend.setCapabilities(negotiated.capabilities, negotiated.headerLength) < 0) {
      const why = "the back-end cannot work with the features of this driver; going on without offloads";
      this.#lines.write("features", "warning", why);
      negotiated = { ...negotiated, capabilities: 0 };
      backend.setCapabilities(0, negotiated.headerLength);
    }
    this.features = features;
    this.#negotiated = negotiated;
    this.#surroundRings(true);
  }

  /** The header length that was negotiated, for what goes the way of the guest's frames. */
  get headerLength(): 10 | 12 {
    return this.#negotiated.headerLength;
  }

  /** Tells the rings what they are made in now. @param heals broken ones get another chance. */
  #surroundRings(heals: boolean): void {
    const negotiated = this.#negotiated;
    const dirtyLog = negotiated.logged ? this.#dirtyLog : null;
    this.rings.surroundWith({ map: this.map, negotiated, dirtyLog, inflight: this.#inflight }, heals);
  }

  /** Acknowledges protocol features. @throws VhostUserError when one was not offered, or another one is missing. */
  setProtocolFeatures(features: bigint): void {
    const surplus = features & ~this.context.offeredProtocolFeatures;
    if (surplus !== 0n) {
      const names = featureNames(surplus, ProtocolFeature).join(" ");
      throw new VhostUserError("BAD_VALUE", `protocol features not offered: ${names}`);
    }
    const inBand = hasFeature(features, ProtocolFeature.INBAND_NOTIFICATIONS);
    if (inBand && !INBAND_NEEDS.every((bit) => hasFeature(features, bit))) {
      throw new VhostUserError("BAD_NEGOTIATION", "in-band notifications without BACKEND_REQ and REPLY_ACK");
    }
    this.protocolFeatures = features;
    this.#protocolIsChosen = true;
    this.#connectRings();
    this.context.log("debug", `protocol features: ${featureNames(features, ProtocolFeature).join(" ")}`);
  }

  /**
   * Replaces the guest memory; rings that are started go on in the new one, or stop where it does not hold them.
   *
   * @param fds one file for each region, only borrowed.
   * @throws VhostUserError, SystemError or RegionError; the old memory stays then.
   */
  setMemoryTable(regions: readonly MemoryRegion[], fds: ReceivedFds): void {
    const { windows, windowBytesMax } = this.context;
    const old = this.map;
    this.#useMemory(MemoryMap.open(windows, regions, fds, windowBytesMax), true);
    // Last, when nothing names the old windows any more.
    old?.close();
  }

  /** Adds a region, whose file is only borrowed. @throws VhostUserError, SystemError or RegionError */
  addMemory(region: MemoryRegion, fds: ReceivedFds): void {
    const { windows, windowBytesMax } = this.context;
    const map = this.map?.withRegion(region, fds.borrow(0));
    this.#useMemory(map ?? MemoryMap.open(windows, [region], fds, windowBytesMax), false);
  }

  /** Takes a region away; rings in it stop. @throws VhostUserError BAD_MEMORY when there is no such region. */
  removeMemory(region: MemoryRegion): void {
    const old = this.map;
    if (old === null) throw new VhostUserError("BAD_MEMORY", "no such memory region");
    this.#useMemory(old.withoutRegion(region), false);
    old.release(region);
  }

  #useMemory(map: MemoryMap, heals: boolean): void {
    this.map = map;
    this.#surroundRings(heals);
    const size = `${map.regionCount} regions, ${Math.ceil(map.sizeBytes / 2 ** 20)} MiB`;
    const sealed = map.sealed ? "sealed" : "not sealed";
    this.#lines.write("guest memory", "info", `guest memory: ${size}, ${sealed} against shrinking`);
  }

  /** Replaces the log of writes to guest memory; the file is only borrowed. @throws VhostUserError, SystemError */
  setLog(area: LogArea, fd: number): void {
    const log = new DirtyLog(fd, area);
    try {
      log.checkCovers(this.map?.endAddress ?? 0);
    } catch (error) {
      log.close();
      throw error;
    }
    const old = this.#dirtyLog;
    this.#dirtyLog = log;
    this.#surroundRings(false);
    old?.close();
  }

  /** Replaces what is told of changes of the log. The fd is owned here, and closed at a throw. */
  setLogFd(fd: OwnedFd | null): void {
    this.#logFd = replaceFd(this.#logFd, fd);
  }

  /** Tells the front-end of what was logged since the last call. */
  reportLogged(): void {
    const dirtyLog = this.#dirtyLog;
    if (dirtyLog === null || !dirtyLog.changed) return;
    dirtyLog.changed = false;
    if (this.#logFd !== null) this.context.signal.notify(this.#logFd.fd);
    if (dirtyLog.missed === 0) return;
    const missed = `${dirtyLog.missed} changed pages of guest memory lie behind the dirty log`;
    this.#lines.write("the dirty log", "error", missed);
    dirtyLog.missed = 0;
  }

  /** Replaces the in-flight buffer; the file is only borrowed. @throws VhostUserError, SystemError */
  setInflight(area: InflightArea, fd: number): void {
    const old = this.#inflight;
    this.#inflight = new InflightBuffer(fd, area);
    this.#surroundRings(false);
    old?.close();
  }

  /** The device status of virtio, as the front-end has set it, and whether a ring is broken. */
  get status(): number {
    return this.#status | (this.#status !== 0 && this.rings.anyBroken ? NEEDS_RESET : 0);
  }

  /** Keeps the device status of virtio; 0 is a reset, which stops the rings. */
  setStatus(status: number): void {
    this.#status = status;
    if (status === 0) this.rings.stopAll();
  }

  /** RESET_DEVICE: as after a connection, but that memory, descriptors for calls and protocol features stay. */
  reset(): void {
    this.#status = 0;
    this.rings.forgetAll();
    this.#useFeatures(0n);
  }

  /** Keeps what the front-end gave for requests of ours, a socket or a pipe. The fd is owned here. */
  setBackendRequests(fd: OwnedFd | null): void {
    const channel = fd === null ? null : new BackEndChannel(fd);
    this.#channel?.close();
    this.#channel = channel;
    this.#connectRings();
  }

  #connectRings(): void {
    const inBand = hasFeature(this.protocolFeatures, ProtocolFeature.INBAND_NOTIFICATIONS);
    this.rings.setChannel(inBand ? this.#channel : null);
  }

  /** Descriptors held for the front-end, its socket not counted. */
  get fdCount(): number {
    return this.rings.fdCount + (this.#channel === null ? 0 : 1) + (this.#logFd === null ? 0 : 1);
  }

  /** Stops the rings and gives everything back. */
  close(): void {
    this.rings.close();
    this.map?.close();
    this.map = null;
    this.setBackendRequests(null);
    this.setLogFd(null);
    this.#dirtyLog?.close();
    this.#inflight?.close();
    this.context.announcement.cancel();
    this.#lines.close();
  }
}
