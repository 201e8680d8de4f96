import type { AddressMap } from "@passt-ts/address-map/address-map";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { SLOT_BYTES } from "./datagram-slots.ts";
import type { UdpSocketPort } from "./socket-port.ts";
import { FLATTEN_BYTES } from "./udp-sender.ts";

/** A flow that was used one way only ends after this time (the default of nf_conntrack_udp_timeout). */
export const ONE_WAY_TIMEOUT_MS = 30_000;
/** A flow that was used both ways ends after this time (nf_conntrack_udp_timeout_stream). */
export const BOTH_WAYS_TIMEOUT_MS = 120_000;

/** Places in the scratch: datagram headers, then an ICMP error, then a datagram that comes in too many pieces. */
export const ERROR_AT = 64;
export const FLATTEN_AT = 2048;

/** Bytes that {@link UdpEngineOptions.scratchWindow} holds for the engine from scratchOffset on. */
export const UDP_SCRATCH_BYTES: number = FLATTEN_AT + FLATTEN_BYTES;

/** Bytes that {@link UdpEngineOptions.slotWindow} holds for the engine from slotOffset on. */
export function slotBytesFor(slotCount: number): number {
  return slotCount * SLOT_BYTES;
}

export interface UdpEngineOptions {
  /** The table that frames, scratch and slots belong to. */
  windows: WindowTable;
  sink: RxSink;
  port: UdpSocketPort;
  addressMap: AddressMap;
  guest: GuestIdentity;
  /** {@link UDP_SCRATCH_BYTES} bytes that the engine owns. */
  scratchWindow: number;
  scratchOffset: number;
  /** {@link slotBytesFor} bytes that the engine owns, for datagrams on their way to the guest. */
  slotWindow: number;
  slotOffset: number;
  /** Datagrams that one receive takes at most. */
  slotCount: number;
  /** 4 random words, for the flow table's hash. */
  secret: Uint32Array;
  flowCapacity: number;
  /** Listening sockets at most. Default 0. */
  listenerCapacity?: number;
  nowMs: number;
  oneWayTimeoutMs?: number;
  bothWaysTimeoutMs?: number;
  /** Datagrams of one send at most. Default 64. */
  sendBatchMax?: number;
  /** Datagrams received in one turn, about. Default 256. */
  turnDatagrams?: number;
  /** TTL of the host's sockets that nobody set: unicast (net.ipv4.ip_default_ttl) 64, multicast 1. */
  hostHopLimit?: number;
  hostMulticastHopLimit?: number;
}
