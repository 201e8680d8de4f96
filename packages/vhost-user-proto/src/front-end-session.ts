/**
 * The front-end role over a connection that somebody else owns: what to send in which order, and what the answers mean.
 * The back-end writes the replies: it can refuse, or give numbers that make no sense, and both are thrown as
 * VhostUserError.
 */

import { decodeConfig } from "./config-payload.ts";
import { VhostUserError } from "./error.ts";
import { hasFeature, ProtocolFeature, VirtioFeature } from "./features.ts";
import {
  configRequest,
  inflightRequest,
  logBaseRequest,
  memoryRegionRequest,
  memoryTableRequest,
  plainRequest,
  rarpRequest,
  replyPayload,
  u64Request,
  type VringFdRequest,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "./front-end.ts";
import { decodeHeader, HEADER_BYTES } from "./header.ts";
import type { Message, Refusal } from "./message-reader.ts";
import {
  decodeInflightArea,
  decodeU64,
  decodeVringState,
  type InflightArea,
  type LogArea,
  type MemoryRegion,
  type VringAddress,
} from "./payload.ts";
import { FRONT_END_REQUESTS, type FrontEndRequest } from "./requests.ts";

/** The connection of a {@link FrontEndSession}; whoever implements it owns the socket. */
export interface FrontEndPort {
  /** Sends one message with file descriptors, which stay the caller's. Throws when the connection has ended. */
  send(message: Uint8Array, fds: readonly number[]): void;

  /** Waits for the next reply. Throws when the connection has ended. */
  receive(): Message | Refusal;

  /** The descriptor that came with the last reply, from now on the caller's; -1 when there was none. */
  takeFd(): number;
}

/** What to ask for; a feature that is not offered is never acknowledged. Masks of feature bits. */
export interface FeatureWishes {
  /** Default all. */
  readonly features?: bigint;
  /** Default all. */
  readonly protocolFeatures?: bigint;
}

/** All that a back-end must know of a ring. The descriptors stay the caller's. */
export interface RingSetup {
  readonly size: number;
  /** Where it goes on: 0 or 0x80008000 for a new split or packed ring, else what a stop answered. */
  readonly base: number;
  readonly address: VringAddress;
  /** -1: the back-end is to poll; with in-band notifications, it hears of buffers by message. */
  readonly kickFd: number;
  /** -1: the driver polls; with in-band notifications, it hears of buffers by message. */
  readonly callFd: number;
  /** -1: none. */
  readonly errorFd: number;
}

/** A reply of this length is a status. */
const STATUS_BYTES = 8;

/** The driver may write these bytes of the configuration space, or migration restores them. */
const CONFIG_FLAG = { driver: 0, migration: 1 } as const;

/**
 * One vhost-user connection as a front-end drives it (vhost-user, "Front-end message types").
 *
 * Each method returns when the back-end has answered; without REPLY_ACK, requests that have no reply of their own are
 * only sent. @throws VhostUserError REFUSED_BY_PEER when it refused, and what the port throws.
 */
export class FrontEndSession {
  /** What was agreed on. */
  features = 0n;
  protocolFeatures = 0n;
  readonly #port: FrontEndPort;

  constructor(port: FrontEndPort) {
    this.#port = port;
  }

  /** Says whether protocol feature number `bit` was agreed on. */
  has(bit: number): boolean {
    return hasFeature(this.protocolFeatures, bit);
  }

  /** Sends a request that has a reply of its own; returns that one's payload. */
  ask(request: Uint8Array, fds: readonly number[] = []): Uint8Array {
    this.#port.send(request, fds);
    const number = decodeHeader(request.subarray(0, HEADER_BYTES)).request as FrontEndRequest;
    return replyPayload(number, this.#port.receive());
  }

  /** Sends a request that has no reply of its own, and waits for its acknowledgement when REPLY_ACK was agreed on. */
  command(build: (needReply: boolean) => Uint8Array, fds: readonly number[] = []): void {
    const needReply = this.has(ProtocolFeature.REPLY_ACK);
    const request = build(needReply);
    if (!needReply) {
      this.#port.send(request, fds);
      return;
    }
    checkStatus(request, this.ask(request, fds));
  }

  /** Becomes the owner and agrees on features, as far as `wanted` and what is offered have them in common. */
  negotiate(wanted: FeatureWishes = {}): void {
    const offered = decodeU64(this.ask(plainRequest("GET_FEATURES")));
    if (hasFeature(offered, VirtioFeature.PROTOCOL_FEATURES)) {
      const protocol = decodeU64(this.ask(plainRequest("GET_PROTOCOL_FEATURES")));
      this.protocolFeatures = consistent(protocol & (wanted.protocolFeatures ?? ~0n));
      this.command((need) => u64Request("SET_PROTOCOL_FEATURES", this.protocolFeatures, need));
    }
    this.command((need) => plainRequest("SET_OWNER", need));
    this.setFeatures(offered & (wanted.features ?? ~0n));
  }

  /** Acknowledges features that were offered: those of another driver, or the same with VHOST_LOG_ALL. */
  setFeatures(features: bigint): void {
    this.features = features;
    this.command((need) => u64Request("SET_FEATURES", features, need));
  }

  /** Replaces the guest's memory, at most 8 regions: one descriptor for each of them. */
  setMemory(regions: readonly MemoryRegion[], fds: readonly number[]): void {
    this.command((need) => memoryTableRequest(regions, need), fds);
  }

  /** How many regions there may be with {@link FrontEndSession.addMemory}. */
  memorySlots(): bigint {
    return decodeU64(this.ask(plainRequest("GET_MAX_MEM_SLOTS")));
  }

  /** Adds a region (CONFIGURE_MEM_SLOTS). */
  addMemory(region: MemoryRegion, fd: number): void {
    this.command((need) => memoryRegionRequest("ADD_MEM_REG", region, need), [fd]);
  }

  /** Takes a region away, known by its addresses and size. */
  removeMemory(region: MemoryRegion): void {
    this.command((need) => memoryRegionRequest("REM_MEM_REG", region, need));
  }

  /** Sets a ring up and starts it: size, base, addresses, descriptors, enable. */
  startRing(setup: RingSetup): void {
    const { index } = setup.address;
    this.command((need) => vringStateRequest("SET_VRING_NUM", { index, value: setup.size }, need));
    this.command((need) => vringStateRequest("SET_VRING_BASE", { index, value: setup.base }, need));
    this.command((need) => vringAddressRequest(setup.address, need));
    const inBand = this.has(ProtocolFeature.INBAND_NOTIFICATIONS);
    // Without a descriptor these mean "polling", which in-band notifications replace.
    if (setup.callFd >= 0 || !inBand) this.#setRingFd("SET_VRING_CALL", index, setup.callFd);
    if (setup.errorFd >= 0 || !inBand) this.#setRingFd("SET_VRING_ERR", index, setup.errorFd);
    if (setup.kickFd >= 0 || !inBand) this.#setRingFd("SET_VRING_KICK", index, setup.kickFd);
    else this.kick(index);
    if (hasFeature(this.features, VirtioFeature.PROTOCOL_FEATURES)) this.enableRing(index, true);
  }

  #setRingFd(name: VringFdRequest, index: number, fd: number): void {
    const hasFd = fd >= 0;
    this.command((need) => vringFdRequest(name, { index, hasFd }, need), hasFd ? [fd] : []);
  }

  enableRing(index: number, enabled: boolean): void {
    this.command((need) => vringStateRequest("SET_VRING_ENABLE", { index, value: enabled ? 1 : 0 }, need));
  }

  /** Stops a ring. Returns where a start would go on. */
  stopRing(index: number): number {
    const request = vringStateRequest("GET_VRING_BASE", { index, value: 0 });
    const state = decodeVringState(this.ask(request));
    if (state.index !== index) throw new VhostUserError("UNEXPECTED_REPLY", `ring ${state.index}, ${index} was asked`);
    return state.value;
  }

  /** Says by message that there are buffers (INBAND_NOTIFICATIONS); starts a ring that is stopped. */
  kick(index: number): void {
    this.command((need) => vringStateRequest("VRING_KICK", { index, value: 0 }, need));
  }

  /** Gives the back-end its channel for requests of its own (BACKEND_REQ). */
  setBackEndChannel(fd: number): void {
    this.command((need) => plainRequest("SET_BACKEND_REQ_FD", need), [fd]);
  }

  /** How many queues there are, or pairs of queues: back-ends count differently (MQ). */
  queueCount(): bigint {
    return decodeU64(this.ask(plainRequest("GET_QUEUE_NUM")));
  }

  /** Bytes of the configuration space (CONFIG). */
  readConfig(offset: number, sizeBytes: number): Uint8Array {
    const request = configRequest("GET_CONFIG", { offset, flags: 0, contents: new Uint8Array(sizeBytes) });
    return decodeConfig(this.ask(request)).contents;
  }

  /** Writes bytes of the configuration space, for the driver or as migration restores them. */
  writeConfig(offset: number, contents: Uint8Array, by: keyof typeof CONFIG_FLAG): void {
    this.command((need) => configRequest("SET_CONFIG", { offset, flags: CONFIG_FLAG[by], contents }, need));
  }

  setMtu(mtu: number): void {
    this.command((need) => u64Request("NET_SET_MTU", mtu, need));
  }

  /** Asks for the guest's address to be announced on the network, as after a migration (RARP). */
  announce(macAddress: Uint8Array): void {
    this.command((need) => rarpRequest(macAddress, need));
  }

  /** The device status of virtio (STATUS). */
  status(): number {
    return Number(decodeU64(this.ask(plainRequest("GET_STATUS"))) & 0xffn);
  }

  setStatus(status: number): void {
    this.command((need) => u64Request("SET_STATUS", status, need));
  }

  /** Back to the initial state; features, memory and rings are to be set again (RESET_DEVICE). */
  resetDevice(): void {
    this.command((need) => plainRequest("RESET_DEVICE", need));
  }

  /** Gets a buffer that tracks what is in flight (INFLIGHT_SHMFD); the descriptor is the caller's. */
  getInflight(ringCount: number, ringSize: number): { readonly area: InflightArea; readonly fd: number } {
    const wanted = { sizeBytes: 0n, mmapOffset: 0n, ringCount, ringSize };
    const area = decodeInflightArea(this.ask(inflightRequest("GET_INFLIGHT_FD", wanted)));
    const fd = this.#port.takeFd();
    if (fd < 0) throw new VhostUserError("BAD_FDS", "GET_INFLIGHT_FD: no file descriptor came");
    return { area, fd };
  }

  /** Gives the buffer to a back-end, before each start of the rings. */
  setInflight(area: InflightArea, fd: number): void {
    this.command((need) => inflightRequest("SET_INFLIGHT_FD", area, need), [fd]);
  }

  /** Has writes to guest memory logged in a file (LOG_SHMFD); VHOST_LOG_ALL and ring flags begin it. */
  setLog(area: LogArea, fd: number): void {
    if (!this.has(ProtocolFeature.LOG_SHMFD)) {
      this.command((need) => logBaseRequest(area, need), [fd]);
      return;
    }
    const request = logBaseRequest(area);
    const reply = this.ask(request, [fd]);
    // The specification names no payload: others answer with nothing, or with the area.
    if (reply.length === STATUS_BYTES) checkStatus(request, reply);
  }

  /** Gives a descriptor that is told of each change of the log. */
  setLogFd(fd: number): void {
    this.command((need) => plainRequest("SET_LOG_FD", need), [fd]);
  }

  /** Returns when everything sent so far was carried out: the back-end answers in order. */
  settle(): void {
    this.ask(plainRequest("GET_FEATURES"));
  }
}

/** @throws VhostUserError REFUSED_BY_PEER when the status that answers the request is not 0. */
function checkStatus(request: Uint8Array, reply: Uint8Array): void {
  const status = decodeU64(reply);
  if (status === 0n) return;
  const { request: number } = decodeHeader(request.subarray(0, HEADER_BYTES));
  const name = FRONT_END_REQUESTS.get(number)?.name ?? `request ${number}`;
  throw new VhostUserError("REFUSED_BY_PEER", `${name} was refused with ${status}`);
}

/** In-band notifications need two other features; to ask for them without these ends the connection. */
function consistent(protocolFeatures: bigint): bigint {
  const needs = [ProtocolFeature.REPLY_ACK, ProtocolFeature.BACKEND_REQ];
  if (needs.every((bit) => hasFeature(protocolFeatures, bit))) return protocolFeatures;
  return protocolFeatures & ~(1n << BigInt(ProtocolFeature.INBAND_NOTIFICATIONS));
}
