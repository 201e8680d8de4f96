/**
 * The front-end's side: each request as bytes ready to be sent, which belong to the caller, and its replies read back.
 * The back-end writes the replies; VhostUserError is all that is thrown for them.
 */

import { type ConfigSpace, encodeConfig } from "./config-payload.ts";
import { VhostUserError } from "./error.ts";
import { encodeRequest } from "./header.ts";
import type { Message, Refusal } from "./message-reader.ts";
import {
  encodeInflightArea,
  encodeLogArea,
  encodeMacAddress,
  encodeMemoryRegion,
  encodeMemoryTable,
  encodeU64,
  encodeVringAddress,
  encodeVringFd,
  encodeVringState,
  type InflightArea,
  type LogArea,
  type MemoryRegion,
  type VringAddress,
  type VringFd,
  type VringState,
} from "./payload.ts";
import { FRONT_END_REQUESTS, FrontEndRequest } from "./requests.ts";

const NO_PAYLOAD = new Uint8Array(0);

/** Names of the requests of a front-end that have no payload. */
export type PlainRequest =
  | "GET_FEATURES"
  | "SET_OWNER"
  | "RESET_OWNER"
  | "GET_PROTOCOL_FEATURES"
  | "GET_QUEUE_NUM"
  | "SET_LOG_FD"
  | "SET_BACKEND_REQ_FD"
  | "RESET_DEVICE"
  | "GET_MAX_MEM_SLOTS"
  | "GET_STATUS"
  | "CHECK_DEVICE_STATE";

/** Names of the requests whose payload is one number of 64 bits. */
export type U64Request = "SET_FEATURES" | "SET_PROTOCOL_FEATURES" | "NET_SET_MTU" | "SET_STATUS";

/** Names of the requests whose payload is a ring and a number. */
export type VringStateRequest =
  | "SET_VRING_NUM"
  | "SET_VRING_BASE"
  | "GET_VRING_BASE"
  | "SET_VRING_ENABLE"
  | "SET_VRING_ENDIAN"
  | "VRING_KICK";

/** Names of the requests that carry a ring's file descriptor. */
export type VringFdRequest = "SET_VRING_KICK" | "SET_VRING_CALL" | "SET_VRING_ERR";

/** A request without payload; with SET_LOG_FD and SET_BACKEND_REQ_FD one file descriptor is to be sent. */
export function plainRequest(name: PlainRequest, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest[name], NO_PAYLOAD, needReply);
}

/** A request with one u64. */
export function u64Request(name: U64Request, value: bigint | number, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest[name], encodeU64(value), needReply);
}

/** A request about one ring with one number. */
export function vringStateRequest(name: VringStateRequest, state: VringState, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest[name], encodeVringState(state), needReply);
}

/** SEND_RARP for a MAC address of 6 bytes. @throws RangeError */
export function rarpRequest(macAddress: Uint8Array, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest.SEND_RARP, encodeMacAddress(macAddress), needReply);
}

/** SET_LOG_BASE with LOG_SHMFD; the file descriptor of the log is to be sent with it. */
export function logBaseRequest(area: LogArea, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest.SET_LOG_BASE, encodeLogArea(area), needReply);
}

/** SET_VRING_ADDR. */
export function vringAddressRequest(address: VringAddress, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest.SET_VRING_ADDR, encodeVringAddress(address), needReply);
}

/** SET_VRING_KICK, _CALL or _ERR; with `hasFd` one file descriptor is to be sent with it. */
export function vringFdRequest(name: VringFdRequest, fd: VringFd, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest[name], encodeVringFd(fd), needReply);
}

/** SET_MEM_TABLE; one file descriptor for each region is to be sent with it, in the same order. */
export function memoryTableRequest(
  regions: readonly MemoryRegion[],
  needReply = false,
  paddedRegions: number = regions.length,
): Uint8Array {
  return encodeRequest(FrontEndRequest.SET_MEM_TABLE, encodeMemoryTable(regions, paddedRegions), needReply);
}

/** ADD_MEM_REG (one file descriptor goes with it) or REM_MEM_REG. */
export function memoryRegionRequest(
  name: "ADD_MEM_REG" | "REM_MEM_REG",
  region: MemoryRegion,
  needReply = false,
): Uint8Array {
  return encodeRequest(FrontEndRequest[name], encodeMemoryRegion(region), needReply);
}

/** GET_CONFIG of `sizeBytes` bytes (the contents are zeros), or SET_CONFIG of the contents given. */
export function configRequest(name: "GET_CONFIG" | "SET_CONFIG", config: ConfigSpace, needReply = false): Uint8Array {
  return encodeRequest(FrontEndRequest[name], encodeConfig(config), needReply);
}

/** GET_INFLIGHT_FD (size and offset mean nothing), or SET_INFLIGHT_FD, with which the file descriptor is to be sent. */
export function inflightRequest(
  name: "GET_INFLIGHT_FD" | "SET_INFLIGHT_FD",
  area: InflightArea,
  needReply = false,
): Uint8Array {
  return encodeRequest(FrontEndRequest[name], encodeInflightArea(area), needReply);
}

/**
 * The payload of the reply to `request` out of what a reader of replies returned.
 *
 * @throws VhostUserError REFUSED_BY_PEER when it is empty and should not be, the error of one that makes no sense, or
 *   UNEXPECTED_REPLY when it answers something else.
 */
export function replyPayload(request: FrontEndRequest, read: Message | Refusal): Uint8Array {
  // A reply that can be read is a refusal only of what was asked.
  if (read.kind === "refusal" && read.error.code !== "REFUSED_BY_PEER") throw read.error;
  if (read.row?.request !== request) {
    const asked = FRONT_END_REQUESTS.get(request)?.name ?? request;
    throw new VhostUserError("UNEXPECTED_REPLY", `reply to ${read.row?.name}, ${asked} was sent`);
  }
  if (read.kind === "refusal") throw read.error;
  return read.payload;
}
