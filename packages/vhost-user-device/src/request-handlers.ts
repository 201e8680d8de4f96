/** What each request does: decode, check, act. A throw refuses the request. */
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import { hasFeature } from "@passt-ts/vhost-user-proto/features";
import type { Message } from "@passt-ts/vhost-user-proto/message-reader";
import {
  CONFIG_HEADER_BYTES,
  decodeConfig,
  decodeMacAddress,
  decodeMemoryTable,
  decodeU64,
  decodeVringAddress,
  decodeVringFd,
  decodeVringState,
  encodeU64,
  encodeVringState,
} from "@passt-ts/vhost-user-proto/payload";
import { FrontEndRequest } from "@passt-ts/vhost-user-proto/requests";
import type { ReceivedFds } from "./received-fds.ts";
import type { Session } from "./session.ts";

/** Acts on one request; returns the payload of its own reply, or null when it has none. */
type Handler = (session: Session, payload: Uint8Array, fds: ReceivedFds) => Uint8Array | null;

/** The flags of SET_CONFIG that allow fields which a driver may not write: live migration. */
const CONFIG_MIGRATION = 1;

/** Requests that are taken though their protocol feature is not offered: harmless, and some front-ends send them. */
const TAKEN_ALWAYS: ReadonlySet<number> = new Set([
  FrontEndRequest.SEND_RARP,
  FrontEndRequest.NET_SET_MTU,
  FrontEndRequest.SET_STATUS,
  FrontEndRequest.GET_STATUS,
]);

/** A handler that has no reply of its own. */
function effect(act: (session: Session, payload: Uint8Array, fds: ReceivedFds) => void): Handler {
  return (session, payload, fds) => {
    act(session, payload, fds);
    return null;
  };
}

const R = FrontEndRequest;

const HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [R.GET_FEATURES, (session) => encodeU64(session.context.offeredFeatures)],
  [R.SET_FEATURES, effect((session, payload) => session.setFeatures(decodeU64(payload)))],
  [R.SET_OWNER, effect(() => {})],
  [R.RESET_OWNER, effect((session) => session.disableAll())],
  [R.SET_MEM_TABLE, effect((session, payload, fds) => session.setMemoryTable(decodeMemoryTable(payload), fds))],
  [R.SET_VRING_NUM, effect(setVringNum)],
  [R.SET_VRING_ADDR, effect((session, payload) => session.setVringAddress(decodeVringAddress(payload)))],
  [R.SET_VRING_BASE, effect(setVringBase)],
  [R.GET_VRING_BASE, getVringBase],
  [R.SET_VRING_KICK, effect((s, payload, fds) => s.setVringKick(decodeVringFd(payload).index, fds.take(0)))],
  [R.SET_VRING_CALL, effect((s, payload, fds) => s.setVringCall(decodeVringFd(payload).index, fds.take(0)))],
  [R.SET_VRING_ERR, effect((s, payload, fds) => s.setVringError(decodeVringFd(payload).index, fds.take(0)))],
  [R.GET_PROTOCOL_FEATURES, (session) => encodeU64(session.context.offeredProtocolFeatures)],
  [R.SET_PROTOCOL_FEATURES, effect((session, payload) => session.setProtocolFeatures(decodeU64(payload)))],
  // One pair. User-Mode Linux counts queues and gives up below 2; QEMU counts pairs, and uses one as long as
  // VIRTIO_NET_F_MQ is not offered.
  [R.GET_QUEUE_NUM, (session) => encodeU64(BigInt(session.rings.length))],
  [R.SET_VRING_ENABLE, effect(setVringEnable)],
  [R.SEND_RARP, effect(announce)],
  [R.NET_SET_MTU, effect(setMtu)],
  [R.SET_BACKEND_REQ_FD, effect((session, _payload, fds) => session.setBackendRequests(fds.take(0)))],
  [R.GET_CONFIG, getConfig],
  [R.SET_CONFIG, effect(setConfig)],
  [R.SET_STATUS, effect((session, payload) => session.setStatus(Number(decodeU64(payload) & 0xffn)))],
  [R.GET_STATUS, (session) => encodeU64(session.status)],
]);

/**
 * Carries out one message.
 *
 * @throws VhostUserError and what the system says, when it is refused.
 */
export function handleRequest(session: Session, message: Message, fds: ReceivedFds): Uint8Array | null {
  const { request, name, protocolFeature } = message.row;
  const handler = HANDLERS.get(request);
  const offered = protocolFeature < 0 || hasFeature(session.context.offeredProtocolFeatures, protocolFeature);
  if (handler === undefined || !(offered || TAKEN_ALWAYS.has(request))) {
    throw new VhostUserError("NOT_SUPPORTED", `${name} is not supported`);
  }
  return handler(session, message.payload, fds);
}

function setVringNum(session: Session, payload: Uint8Array): void {
  const { index, value } = decodeVringState(payload);
  session.setVringSize(index, value);
}

function setVringBase(session: Session, payload: Uint8Array): void {
  const { index, value } = decodeVringState(payload);
  session.setVringBase(index, value);
}

function getVringBase(session: Session, payload: Uint8Array): Uint8Array {
  const { index } = decodeVringState(payload);
  return encodeVringState({ index, value: session.getVringBase(index) });
}

function setVringEnable(session: Session, payload: Uint8Array): void {
  const { index, value } = decodeVringState(payload);
  session.enableVring(index, value);
}

/** There is no switch to be told where the guest is now: the back-end learns that from what the guest sends. */
function announce(session: Session, payload: Uint8Array): void {
  const octets = [...decodeMacAddress(payload)].map((octet) => octet.toString(16).padStart(2, "0"));
  session.context.log("debug", `asked to announce ${octets.join(":")}, which needs nothing here`);
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

function setConfig(session: Session, payload: Uint8Array): void {
  const { offset, flags, contents } = decodeConfig(payload);
  if (flags !== CONFIG_MIGRATION) throw new VhostUserError("BAD_VALUE", "the configuration is read-only");
  session.config.restore(offset, contents);
}
