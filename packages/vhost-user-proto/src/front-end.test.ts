import { expect, test } from "bun:test";
import { decodeConfig, encodeConfig } from "./config-payload.ts";
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
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "./front-end.ts";
import { encodeReply, HEADER_BYTES } from "./header.ts";
import { MessageReader } from "./message-reader.ts";
import { decodeU64, encodeU64 } from "./payload.ts";
import { FRONT_END_REQUESTS, FrontEndRequest } from "./requests.ts";

const REGION = { guestAddress: 0x1000n, sizeBytes: 4096n, userAddress: 0x7f00_0000_0000n, mmapOffset: 0x2000n };

const u32 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
const u64 = (low: number, high = 0): number[] => [...u32(low), ...u32(high)];
const region = [...u64(0x1000), ...u64(4096), ...u64(0, 0x7f00), ...u64(0x2000)];

type Golden = readonly [bytes: Uint8Array, request: number, flags: number, payload: readonly number[]];

/** Each builder: request number, flags, and the payload byte for byte as the specification lays it out. */
const GOLDEN: readonly Golden[] = [
  [plainRequest("GET_FEATURES"), 1, 1, []],
  [u64Request("SET_FEATURES", 0x1_4000_8000n, true), 2, 9, [0x00, 0x80, 0x00, 0x40, 1, 0, 0, 0]],
  [plainRequest("SET_OWNER"), 3, 1, []],
  [plainRequest("RESET_OWNER", true), 4, 9, []],
  [memoryTableRequest([REGION, REGION]), 5, 1, [...u32(2), ...u32(0), ...region, ...region]],
  [memoryTableRequest([REGION], true, 2), 5, 9, [...u32(1), ...u32(0), ...region, ...new Array(32).fill(0)]],
  [memoryTableRequest([]), 5, 1, [...u32(0), ...u32(0)]],
  [logBaseRequest({ sizeBytes: 0x8000n, mmapOffset: 16n }), 6, 1, [...u64(0x8000), ...u64(16)]],
  [plainRequest("SET_LOG_FD"), 7, 1, []],
  [vringStateRequest("SET_VRING_NUM", { index: 1, value: 256 }), 8, 1, [...u32(1), ...u32(256)]],
  [
    vringAddressRequest({ index: 1, flags: 1, descriptors: 2n, used: 3n, available: 4n, logAddress: 1n << 63n }),
    9,
    1,
    [...u32(1), ...u32(1), ...u64(2), ...u64(3), ...u64(4), ...u64(0, 0x8000_0000)],
  ],
  [vringStateRequest("SET_VRING_BASE", { index: 0, value: 0xffff }, true), 10, 9, [...u32(0), ...u32(0xffff)]],
  [vringStateRequest("GET_VRING_BASE", { index: 1, value: 0 }), 11, 1, [...u32(1), ...u32(0)]],
  [vringFdRequest("SET_VRING_KICK", { index: 255, hasFd: true }), 12, 1, u64(255)],
  [vringFdRequest("SET_VRING_CALL", { index: 1, hasFd: false }), 13, 1, u64(0x101)],
  [vringFdRequest("SET_VRING_ERR", { index: 0, hasFd: true }), 14, 1, u64(0)],
  [plainRequest("GET_PROTOCOL_FEATURES"), 15, 1, []],
  [u64Request("SET_PROTOCOL_FEATURES", 0x229), 16, 1, u64(0x229)],
  [plainRequest("GET_QUEUE_NUM"), 17, 1, []],
  [vringStateRequest("SET_VRING_ENABLE", { index: 0, value: 1 }), 18, 1, [...u32(0), ...u32(1)]],
  [rarpRequest(new Uint8Array([0x52, 0x54, 0, 1, 2, 3])), 19, 1, [0x52, 0x54, 0, 1, 2, 3, 0, 0]],
  [u64Request("NET_SET_MTU", 1500), 20, 1, u64(1500)],
  [plainRequest("SET_BACKEND_REQ_FD"), 21, 1, []],
  [vringStateRequest("SET_VRING_ENDIAN", { index: 0, value: 1 }), 23, 1, [...u32(0), ...u32(1)]],
  [
    configRequest("GET_CONFIG", { offset: 10, flags: 0, contents: new Uint8Array(2) }),
    24,
    1,
    [...u32(10), ...u32(2), ...u32(0), 0, 0],
  ],
  [
    configRequest("SET_CONFIG", { offset: 0, flags: 1, contents: new Uint8Array([7]) }, true),
    25,
    9,
    [...u32(0), ...u32(1), ...u32(1), 7],
  ],
  [
    inflightRequest("GET_INFLIGHT_FD", { sizeBytes: 0n, mmapOffset: 0n, ringCount: 2, ringSize: 256 }, true),
    31,
    9,
    [...u64(0), ...u64(0), 2, 0, 0, 1, ...u32(0)],
  ],
  [
    inflightRequest("SET_INFLIGHT_FD", { sizeBytes: 0x1000n, mmapOffset: 64n, ringCount: 1, ringSize: 0x8000 }),
    32,
    1,
    [...u64(0x1000), ...u64(64), 1, 0, 0, 0x80, ...u32(0)],
  ],
  [plainRequest("RESET_DEVICE"), 34, 1, []],
  [vringStateRequest("VRING_KICK", { index: 1, value: 0 }), 35, 1, [...u32(1), ...u32(0)]],
  [plainRequest("GET_MAX_MEM_SLOTS"), 36, 1, []],
  [memoryRegionRequest("ADD_MEM_REG", REGION), 37, 1, [...u64(0), ...region]],
  [memoryRegionRequest("REM_MEM_REG", REGION), 38, 1, [...u64(0), ...region]],
  [u64Request("SET_STATUS", 15), 39, 1, u64(15)],
  [plainRequest("GET_STATUS"), 40, 1, []],
  [plainRequest("CHECK_DEVICE_STATE"), 43, 1, []],
];

test("each request is its header and payload, byte for byte, and is read back whole", () => {
  for (const [bytes, request, flags, payload] of GOLDEN) {
    expect([...bytes]).toEqual([...u32(request), ...u32(flags), ...u32(payload.length), ...payload]);
    const reader = new MessageReader(FRONT_END_REQUESTS);
    const fds = fdsOf(request, payload);
    const header = reader.feed(bytes.subarray(0, HEADER_BYTES), fds);
    const read = payload.length === 0 ? header : reader.feed(bytes.subarray(HEADER_BYTES));
    expect(read).toMatchObject({ kind: "message", needReply: flags === 9, fdCount: fds, row: { request } });
  }
});

/** The file descriptors that go with a request of {@link GOLDEN}. */
function fdsOf(request: number, payload: readonly number[]): number {
  if (request === FrontEndRequest.SET_MEM_TABLE) return payload[0] ?? 0;
  const one: number[] = [6, 7, 21, 32, 37];
  if (one.includes(request)) return 1;
  return request >= 12 && request <= 14 && payload[1] === 0 ? 1 : 0;
}

test("a MAC address of other than 6 bytes is a mistake of the caller", () => {
  for (const length of [0, 5, 7]) expect(() => rarpRequest(new Uint8Array(length))).toThrow(RangeError);
});

test("replies are read back, and one to another request is not taken", () => {
  const reader = new MessageReader(FRONT_END_REQUESTS, "replies");
  const read = (bytes: Uint8Array) => {
    reader.feed(bytes.subarray(0, HEADER_BYTES));
    return reader.feed(bytes.subarray(HEADER_BYTES)) as NonNullable<ReturnType<MessageReader["feed"]>>;
  };
  const features = read(encodeReply(FrontEndRequest.GET_FEATURES, encodeU64(0x140008000n)));
  expect(decodeU64(replyPayload(FrontEndRequest.GET_FEATURES, features))).toBe(0x140008000n);
  expect(() => replyPayload(FrontEndRequest.GET_STATUS, features)).toThrow(
    "reply to GET_FEATURES, GET_STATUS was sent",
  );
  const contents = new Uint8Array([1, 2, 3]);
  const config = read(encodeReply(FrontEndRequest.GET_CONFIG, encodeConfig({ offset: 4, flags: 0, contents })));
  expect(decodeConfig(replyPayload(FrontEndRequest.GET_CONFIG, config)).contents).toEqual(contents);
  const bad = read(encodeReply(FrontEndRequest.GET_FEATURES, new Uint8Array(4)));
  expect(() => replyPayload(FrontEndRequest.GET_FEATURES, bad)).toThrow("payload of 4 bytes");
});
