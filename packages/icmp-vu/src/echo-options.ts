import type { AddressMap } from "@passt-ts/address-map/address-map";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { REQUEST_SCRATCH_BYTES } from "./echo-sender.ts";
import { SLOT_BYTES } from "./echo-slots.ts";
import type { EchoSocketPort } from "./socket-port.ts";

/** A flow that was not used for this time ends. */
export const ECHO_TIMEOUT_MS = 60_000;

/** Places in the scratch: headers of a reply, then an ICMP error, then a request. */
export const ERROR_AT = 64;
export const REQUEST_AT = 2048;

/** Bytes that {@link EchoEngineOptions.scratchWindow} holds for the engine from scratchOffset on. */
export const ECHO_SCRATCH_BYTES: number = REQUEST_AT + REQUEST_SCRATCH_BYTES;

/** Bytes that {@link EchoEngineOptions.slotWindow} holds for the engine from slotOffset on. */
export function slotBytesFor(slotCount: number): number {
  return slotCount * SLOT_BYTES;
}

export interface EchoEngineOptions {
  /** The table that frames, scratch and slots belong to. */
  windows: WindowTable;
  sink: RxSink;
  port: EchoSocketPort;
  addressMap: AddressMap;
  guest: GuestIdentity;
  /** {@link ECHO_SCRATCH_BYTES} bytes that the engine owns. */
  scratchWindow: number;
  scratchOffset: number;
  /** {@link slotBytesFor} bytes that the engine owns, for replies on their way to the guest. */
  slotWindow: number;
  slotOffset: number;
  /** Replies that one receive takes at most. */
  slotCount: number;
  /** 4 random words, for the flow table's hash. */
  secret: Uint32Array;
  flowCapacity: number;
  nowMs: number;
  timeoutMs?: number;
  /** Replies received in one turn, about. Default 128. */
  turnReplies?: number;
  /** TTL of the host's sockets that nobody set (net.ipv4.ip_default_ttl). Default 64. */
  hostHopLimit?: number;
  /** Called once, with a sentence for the user, when the host refuses ping sockets. */
  warn?: (message: string) => void;
}
