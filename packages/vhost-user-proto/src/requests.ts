/** Every request of both directions: what it carries, what it asks for, and what makes it legal. */
import { ProtocolFeature, VirtioFeature } from "./features.ts";

/** Kinds of payload; {@link PAYLOAD_SIZES} says how long each may be. */
export type PayloadKind =
  | "none"
  | "u64"
  | "status"
  | "vringState"
  | "vringAddress"
  | "vringFd"
  | "memoryTable"
  | "memoryRegion"
  | "log"
  | "config"
  | "iotlb"
  | "inflight"
  | "vringArea"
  | "sharedObject"
  | "deviceState"
  | "sharedMemory"
  | "opaque";

/** The longest payload that is taken in, in bytes; more is read and thrown away, and the message refused. */
export const PAYLOAD_BYTES_MAX: 4096 = 4096;

/** The shortest and the longest payload of each kind, in bytes. */
export const PAYLOAD_SIZES: Readonly<Record<PayloadKind, readonly [min: number, max: number]>> = {
  none: [0, 0],
  u64: [8, 8],
  // A u64 that is 0 for success.
  status: [8, 8],
  vringState: [8, 8],
  vringAddress: [40, 40],
  vringFd: [8, 8],
  // User-Mode Linux sends room for two regions even when it names one, so only the lower bound is a rule.
  memoryTable: [8, PAYLOAD_BYTES_MAX],
  memoryRegion: [40, 40],
  // One u64 before LOG_SHMFD, size and offset with it.
  log: [8, 16],
  config: [12, 12 + 256],
  // C pads these two structures to a multiple of 8.
  iotlb: [26, 32],
  inflight: [20, 24],
  vringArea: [24, 24],
  sharedObject: [16, 16],
  deviceState: [8, 8],
  sharedMemory: [8, PAYLOAD_BYTES_MAX],
  opaque: [0, PAYLOAD_BYTES_MAX],
};

/**
 * How many file descriptors come with a request: `unlessNoFd` one, or none when bit 8 of the u64 is set; `perRegion`
 * one for each region that the table names.
 */
export type FdRule = "none" | "one" | "optional" | "perRegion" | "unlessNoFd";

/**
 * `ack`: answered with a status only when need_reply is set and REPLY_ACK negotiated. `own`: always answered.
 * `ownIfNegotiated`: `own` when its protocol feature is negotiated, else `ack`.
 */
export type ReplyRule = "ack" | "own" | "ownIfNegotiated";

/** One request. */
export interface RequestRow {
  readonly request: number;
  /** The name in the specification, without its prefix. */
  readonly name: string;
  readonly payload: PayloadKind;
  readonly fds: FdRule;
  readonly reply: ReplyRule;
  /** The payload of the reply: status for `ack`. */
  readonly replyPayload: PayloadKind;
  /** The protocol feature that makes it legal, a number of ProtocolFeature, or -1. */
  readonly protocolFeature: number;
  /** The virtio or vhost feature that makes it legal, a number of VirtioFeature, or -1. */
  readonly feature: number;
}

/** Requests by number. */
export type RequestTable = ReadonlyMap<number, RequestRow>;

/** Numbers of the requests that a front-end sends, by name. */
export const FrontEndRequest = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  RESET_OWNER: 4,
  SET_MEM_TABLE: 5,
  SET_LOG_BASE: 6,
  SET_LOG_FD: 7,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  SET_VRING_ERR: 14,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  GET_QUEUE_NUM: 17,
  SET_VRING_ENABLE: 18,
  SEND_RARP: 19,
  NET_SET_MTU: 20,
  SET_BACKEND_REQ_FD: 21,
  IOTLB_MSG: 22,
  SET_VRING_ENDIAN: 23,
  GET_CONFIG: 24,
  SET_CONFIG: 25,
  CREATE_CRYPTO_SESSION: 26,
  CLOSE_CRYPTO_SESSION: 27,
  POSTCOPY_ADVISE: 28,
  POSTCOPY_LISTEN: 29,
  POSTCOPY_END: 30,
  GET_INFLIGHT_FD: 31,
  SET_INFLIGHT_FD: 32,
  GPU_SET_SOCKET: 33,
  RESET_DEVICE: 34,
  VRING_KICK: 35,
  GET_MAX_MEM_SLOTS: 36,
  ADD_MEM_REG: 37,
  REM_MEM_REG: 38,
  SET_STATUS: 39,
  GET_STATUS: 40,
  GET_SHARED_OBJECT: 41,
  SET_DEVICE_STATE_FD: 42,
  CHECK_DEVICE_STATE: 43,
  GET_SHMEM_CONFIG: 44,
  GET_VRING_BASE_SKIP_DRAIN: 45,
} as const;
/** A number of {@link FrontEndRequest}. */
export type FrontEndRequest = (typeof FrontEndRequest)[keyof typeof FrontEndRequest];

/** Numbers of the requests that a back-end sends on the socket of SET_BACKEND_REQ_FD, by name. */
export const BackEndRequest = {
  IOTLB_MSG: 1,
  CONFIG_CHANGE_MSG: 2,
  VRING_HOST_NOTIFIER_MSG: 3,
  VRING_CALL: 4,
  VRING_ERR: 5,
  SHARED_OBJECT_ADD: 6,
  SHARED_OBJECT_REMOVE: 7,
  SHARED_OBJECT_LOOKUP: 8,
  SHMEM_MAP: 9,
  SHMEM_UNMAP: 10,
} as const;
/** A number of {@link BackEndRequest}. */
export type BackEndRequest = (typeof BackEndRequest)[keyof typeof BackEndRequest];

type Details = Partial<Pick<RequestRow, "fds" | "protocolFeature" | "feature" | "reply">> & {
  /** The payload of a reply of its own. */
  readonly own?: PayloadKind;
};
type Spec<Name extends string> = readonly [name: Name, payload: PayloadKind, details?: Details];

function tableOf<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
  specs: readonly Spec<Name>[],
): RequestTable {
  const table = new Map<number, RequestRow>();
  for (const [name, payload, details = {}] of specs) {
    table.set(numbers[name], {
      request: numbers[name],
      name,
      payload,
      fds: details.fds ?? "none",
      reply: details.reply ?? (details.own === undefined ? "ack" : "own"),
      replyPayload: details.own ?? "status",
      protocolFeature: details.protocolFeature ?? -1,
      feature: details.feature ?? -1,
    });
  }
  return table;
}

const P = ProtocolFeature;

/** What a front-end sends to a back-end (vhost-user, "Front-end message types"). */
export const FRONT_END_REQUESTS: RequestTable = tableOf<keyof typeof FrontEndRequest>(FrontEndRequest, [
  ["GET_FEATURES", "none", { own: "u64" }],
  ["SET_FEATURES", "u64"],
  ["SET_OWNER", "none"],
  ["RESET_OWNER", "none"],
  ["SET_MEM_TABLE", "memoryTable", { fds: "perRegion" }],
  // The specification asks for a reply and names no payload: back-ends send none, a status or the area.
  ["SET_LOG_BASE", "log", { fds: "optional", own: "opaque", reply: "ownIfNegotiated", protocolFeature: P.LOG_SHMFD }],
  ["SET_LOG_FD", "none", { fds: "one" }],
  ["SET_VRING_NUM", "vringState"],
  ["SET_VRING_ADDR", "vringAddress"],
  ["SET_VRING_BASE", "vringState"],
  ["GET_VRING_BASE", "vringState", { own: "vringState" }],
  ["SET_VRING_KICK", "vringFd", { fds: "unlessNoFd" }],
  ["SET_VRING_CALL", "vringFd", { fds: "unlessNoFd" }],
  ["SET_VRING_ERR", "vringFd", { fds: "unlessNoFd" }],
  ["GET_PROTOCOL_FEATURES", "none", { own: "u64", feature: VirtioFeature.PROTOCOL_FEATURES }],
  ["SET_PROTOCOL_FEATURES", "u64", { feature: VirtioFeature.PROTOCOL_FEATURES }],
  ["GET_QUEUE_NUM", "none", { own: "u64", protocolFeature: P.MQ }],
  ["SET_VRING_ENABLE", "vringState", { feature: VirtioFeature.PROTOCOL_FEATURES }],
  ["SEND_RARP", "u64", { protocolFeature: P.RARP }],
  ["NET_SET_MTU", "u64", { protocolFeature: P.MTU, feature: VirtioFeature.MTU }],
  ["SET_BACKEND_REQ_FD", "none", { fds: "one", protocolFeature: P.BACKEND_REQ }],
  ["IOTLB_MSG", "iotlb", { own: "status", feature: VirtioFeature.ACCESS_PLATFORM }],
  ["SET_VRING_ENDIAN", "vringState", { protocolFeature: P.CROSS_ENDIAN }],
  ["GET_CONFIG", "config", { own: "config", protocolFeature: P.CONFIG }],
  ["SET_CONFIG", "config", { protocolFeature: P.CONFIG }],
  ["CREATE_CRYPTO_SESSION", "opaque", { own: "opaque", protocolFeature: P.CRYPTO_SESSION }],
  ["CLOSE_CRYPTO_SESSION", "u64", { protocolFeature: P.CRYPTO_SESSION }],
  ["POSTCOPY_ADVISE", "none", { own: "opaque", protocolFeature: P.PAGEFAULT }],
  ["POSTCOPY_LISTEN", "none", { protocolFeature: P.PAGEFAULT }],
  ["POSTCOPY_END", "none", { own: "status", protocolFeature: P.PAGEFAULT }],
  ["GET_INFLIGHT_FD", "inflight", { own: "inflight", protocolFeature: P.INFLIGHT_SHMFD }],
  ["SET_INFLIGHT_FD", "inflight", { fds: "one", protocolFeature: P.INFLIGHT_SHMFD }],
  ["GPU_SET_SOCKET", "none", { fds: "one" }],
  ["RESET_DEVICE", "none", { protocolFeature: P.RESET_DEVICE }],
  ["VRING_KICK", "vringState", { protocolFeature: P.INBAND_NOTIFICATIONS }],
  ["GET_MAX_MEM_SLOTS", "none", { own: "u64", protocolFeature: P.CONFIGURE_MEM_SLOTS }],
  ["ADD_MEM_REG", "memoryRegion", { fds: "one", protocolFeature: P.CONFIGURE_MEM_SLOTS }],
  // Some front-ends send a file descriptor with REM_MEM_REG; the specification has it closed and ignored.
  ["REM_MEM_REG", "memoryRegion", { fds: "optional", protocolFeature: P.CONFIGURE_MEM_SLOTS }],
  ["SET_STATUS", "u64", { protocolFeature: P.STATUS }],
  ["GET_STATUS", "none", { own: "u64", protocolFeature: P.STATUS }],
  ["GET_SHARED_OBJECT", "sharedObject", { own: "opaque", protocolFeature: P.SHARED_OBJECT }],
  ["SET_DEVICE_STATE_FD", "deviceState", { fds: "one", own: "status", protocolFeature: P.DEVICE_STATE }],
  ["CHECK_DEVICE_STATE", "none", { own: "status", protocolFeature: P.DEVICE_STATE }],
  ["GET_SHMEM_CONFIG", "none", { own: "sharedMemory", protocolFeature: P.SHMEM }],
  ["GET_VRING_BASE_SKIP_DRAIN", "vringState", { own: "vringState", protocolFeature: P.GET_VRING_BASE_SKIP_DRAIN }],
]);

/** What a back-end sends to a front-end (vhost-user, "Back-end message types"). */
export const BACK_END_REQUESTS: RequestTable = tableOf<keyof typeof BackEndRequest>(BackEndRequest, [
  ["IOTLB_MSG", "iotlb", { feature: VirtioFeature.ACCESS_PLATFORM }],
  ["CONFIG_CHANGE_MSG", "none", { protocolFeature: P.CONFIG }],
  ["VRING_HOST_NOTIFIER_MSG", "vringArea", { fds: "optional", protocolFeature: P.HOST_NOTIFIER }],
  ["VRING_CALL", "vringState", { protocolFeature: P.INBAND_NOTIFICATIONS }],
  ["VRING_ERR", "vringState", { protocolFeature: P.INBAND_NOTIFICATIONS }],
  ["SHARED_OBJECT_ADD", "sharedObject", { protocolFeature: P.SHARED_OBJECT }],
  ["SHARED_OBJECT_REMOVE", "sharedObject", { protocolFeature: P.SHARED_OBJECT }],
  ["SHARED_OBJECT_LOOKUP", "sharedObject", { own: "status", protocolFeature: P.SHARED_OBJECT }],
  ["SHMEM_MAP", "opaque", { fds: "one", protocolFeature: P.SHMEM }],
  ["SHMEM_UNMAP", "opaque", { protocolFeature: P.SHMEM }],
]);
