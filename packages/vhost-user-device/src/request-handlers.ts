/** What each request does: decode, check, act. A throw refuses the request. */
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { CONFIG_HEADER_BYTES, decodeConfig } from "@passt-ts/vhost-user-proto/config-payload";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import { hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import type { Message } from "@passt-ts/vhost-user-proto/message-reader";
import {
  decodeInflightArea,
  decodeLogArea,
  decodeMacAddress,
  decodeMemoryRegion,
  decodeMemoryTable,
  decodeU64,
  decodeVringAddress,
  decodeVringFd,
  decodeVringState,
  encodeInflightArea,
  encodeU64,
  encodeVringState,
} from "@passt-ts/vhost-user-proto/payload";
import { acceptedPayload } from "@passt-ts/vhost-user-proto/reply";
import { FrontEndRequest } from "@passt-ts/vhost-user-proto/requests";
import { createInflightBuffer } from "./inflight-buffer.ts";
import { MEMORY_SLOTS } from "./memory-map.ts";
import type { ReceivedFds } from "./received-fds.ts";
import type { Session } from "./session.ts";

/** A request's own reply: its payload, and a descriptor that goes with it and is closed then. */
export interface OwnReply {
  readonly payload: Uint8Array;
  readonly fd: OwnedFd | null;
}

/** Acts on one request; returns its own reply, or null when it has none. */
type Handler = (session: Session, payload: Uint8Array, fds: ReceivedFds) => OwnReply | null;

/** The flags of SET_CONFIG that allow fields which a driver may not write: live migration. */
const CONFIG_MIGRATION = 1;

/** The bytes of the MAC address in the configuration space, which legacy drivers write (virtio 1.3, 5.1.4.2). */
const MAC_BYTES = 6;

/** A handler that answers with a payload. */
function answer(payloadOf: (session: Session, payload: Uint8Array) => Uint8Array): Handler {
  return (session, payload) => ({ payload: payloadOf(session, payload), fd: null });
}

/** A handler that has no reply of its own. */
function effect(act: (session: Session, payload: Uint8Array, fds: ReceivedFds) => void): Handler {
  return (session, payload, fds) => {
    act(session, payload, fds);
    return null;
  };
}

const R = FrontEndRequest;

const HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [R.GET_FEATURES, answer((session) => encodeU64(session.offeredFeatures))],
  [R.SET_FEATURES, effect((session, payload) => session.setFeatures(decodeU64(payload)))],
  [R.SET_OWNER, effect(() => {})],
  // What the specification recommends is to disable all rings.
  [R.RESET_OWNER, effect((session) => session.rings.enableAll(false))],
  [R.SET_MEM_TABLE, effect((session, payload, fds) => session.setMemoryTable(decodeMemoryTable(payload), fds))],
  [R.SET_LOG_BASE, setLogBase],
  [R.SET_LOG_FD, effect((session, _payload, fds) => session.setLogFd(fds.take(0)))],
  [R.SET_VRING_NUM, effect(setVringNum)],
  [R.SET_VRING_ADDR, effect((session, payload) => session.rings.setAddress(decodeVringAddress(payload)))],
  [R.SET_VRING_BASE, effect(setVringBase)],
  [R.GET_VRING_BASE, answer(getVringBase)],
  [R.SET_VRING_KICK, effect((s, payload, fds) => s.rings.setKick(decodeVringFd(payload).index, fds.take(0)))],
  [R.SET_VRING_CALL, effect((s, payload, fds) => s.rings.setCall(decodeVringFd(payload).index, fds.take(0)))],
  [R.SET_VRING_ERR, effect((s, payload, fds) => s.rings.setError(decodeVringFd(payload).index, fds.take(0)))],
  [R.GET_PROTOCOL_FEATURES, answer((session) => encodeU64(session.context.offeredProtocolFeatures))],
  [R.SET_PROTOCOL_FEATURES, effect((session, payload) => session.setProtocolFeatures(decodeU64(payload)))],
  // One pair. User-Mode Linux counts queues and gives up below 2; QEMU counts pairs, and its driver uses one as long as
  // VIRTIO_NET_F_MQ is not offered.
  [R.GET_QUEUE_NUM, answer((session) => encodeU64(BigInt(session.rings.served.length)))],
  [R.SET_VRING_ENABLE, effect(setVringEnable)],
  [R.SEND_RARP, effect(announce)],
  [R.NET_SET_MTU, effect(setMtu)],
  [R.SET_BACKEND_REQ_FD, effect((session, _payload, fds) => session.setBackendRequests(fds.take(0)))],
  [R.GET_CONFIG, answer(getConfig)],
  [R.SET_CONFIG, effect(setConfig)],
  [R.GET_INFLIGHT_FD, getInflight],
  [R.SET_INFLIGHT_FD, effect((s, payload, fds) => s.setInflight(decodeInflightArea(payload), fds.borrow(0)))],
  [R.RESET_DEVICE, effect((session) => session.reset())],
  [R.VRING_KICK, effect((session, payload) => session.rings.kick(decodeVringState(payload).index))],
  [R.GET_MAX_MEM_SLOTS, answer(() => encodeU64(MEMORY_SLOTS))],
  [R.ADD_MEM_REG, effect((session, payload, fds) => session.addMemory(decodeMemoryRegion(payload), fds))],
  [R.REM_MEM_REG, effect((session, payload) => session.removeMemory(decodeMemoryRegion(payload)))],
  [R.SET_STATUS, effect((session, payload) => session.setStatus(Number(decodeU64(payload) & 0xffn)))],
  [R.GET_STATUS, answer((session) => encodeU64(session.status))],
]);

/**
 * Carries out one message.
 *
 * @throws VhostUserError and what the system says, when it is refused.
 */
export function handleRequest(session: Session, message: Message, fds: ReceivedFds): OwnReply | null {
  const { request, name, protocolFeature } = message.row;
  const handler = HANDLERS.get(request);
  const offered = protocolFeature < 0 || hasFeature(session.context.offeredProtocolFeatures, protocolFeature);
  if (handler === undefined || !offered) {
    throw new VhostUserError("NOT_SUPPORTED", `${name} is not supported`);
  }
  return handler(session, message.payload, fds);
}

function setVringNum(session: Session, payload: Uint8Array): void {
  const { index, value } = decodeVringState(payload);
  session.rings.setSize(index, value);
}

function setVringBase(session: Session, payload: Uint8Array): void {
  const { index, value } = decodeVringState(payload);
  session.rings.setBase(index, value);
}

function getVringBase(session: Session, payload: Uint8Array): Uint8Array {
  const { index } = decodeVringState(payload);
  return encodeVringState({ index, value: session.rings.stop(index) });
}

function setVringEnable(session: Session, payload: Uint8Array): void {
  const { index, value } = decodeVringState(payload);
  session.rings.enable(index, value);
}

/** The log comes as a file; a front-end without LOG_SHMFD names an address of its own, which is nothing to us. */
function setLogBase(session: Session, payload: Uint8Array, fds: ReceivedFds): OwnReply | null {
  if (fds.count === 0) throw new VhostUserError("BAD_FDS", "a dirty log without a file");
  session.setLog(decodeLogArea(payload), fds.borrow(0));
  return { payload: acceptedPayload(), fd: null };
}

/** What is announced goes the way of the guest's frames: the back-end knows the network, if there is one. */
function announce(session: Session, payload: Uint8Array): void {
  const macAddress = decodeMacAddress(payload);
  const octets = [...macAddress].map((octet) => octet.toString(16).padStart(2, "0"));
  session.context.log("debug", `announcing ${octets.join(":")}`);
  session.context.announcement.request(macAddress);
}

function getInflight(_session: Session, payload: Uint8Array): OwnReply {
  const { area, file } = createInflightBuffer(decodeInflightArea(payload));
  return { payload: encodeInflightArea(area), fd: file };
}

function setMtu(session: Session, payload: Uint8Array): void {
  const mtu = decodeU64(payload);
  if (mtu > 0xffffn || !session.config.setMtu(Number(mtu))) {
    throw new VhostUserError("BAD_VALUE", `an MTU of ${mtu}`);
  }
}

/** The reply is as long as the request, whatever part of it is asked for. */
function getConfig(session: Session, payload: Uint8Array): Uint8Array {
  const { offset, contents } = decodeConfig(payload);
  const reply = payload.slice();
  reply.set(session.config.read(offset, contents.length), CONFIG_HEADER_BYTES);
  return reply;
}

/** A driver may write nothing, a legacy one the MAC address; migration writes what it found elsewhere. */
function setConfig(session: Session, payload: Uint8Array): void {
  const { offset, flags, contents } = decodeConfig(payload);
  const legacy = !hasFeature(session.features, VirtioFeature.VERSION_1);
  const writable = flags === CONFIG_MIGRATION || (flags === 0 && legacy && offset + contents.length <= MAC_BYTES);
  if (!writable) throw new VhostUserError("BAD_VALUE", "the configuration is read-only");
  session.config.restore(offset, contents);
}
