import { expect, test } from "bun:test";
import {
  configRequest,
  memoryRegionRequest,
  memoryTableRequest,
  plainRequest,
  replyPayload,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "./front-end.ts";
import { decodeHeader, encodeReply, HEADER_BYTES } from "./header.ts";
import { MessageReader } from "./message-reader.ts";
import { decodeConfig, decodeU64, encodeConfig, encodeU64 } from "./payload.ts";
import { FRONT_END_REQUESTS, FrontEndRequest } from "./requests.ts";

const REGION = { guestAddress: 0x1000n, sizeBytes: 4096n, userAddress: 0x7f00_0000_0000n, mmapOffset: 0x2000n };

test("a request is 12 bytes of header and the payload, byte for byte", () => {
  expect([...u64Request("SET_FEATURES", 0x1_4000_8000n, true)]).toEqual([
    ...[2, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0],
    ...[0x00, 0x80, 0x00, 0x40, 1, 0, 0, 0],
  ]);
  expect([...vringFdRequest("SET_VRING_CALL", { index: 1, hasFd: false })]).toEqual([
    ...[13, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0],
    ...[1, 1, 0, 0, 0, 0, 0, 0],
  ]);
  expect(memoryTableRequest([REGION], false, 2)).toHaveLength(12 + 8 + 64);
});

test("each builder names its own request", () => {
  const address = { index: 0, flags: 0, descriptors: 1n, used: 2n, available: 3n, logAddress: 0n };
  const config = { offset: 0, flags: 0, contents: new Uint8Array(10) };
  const built: [Uint8Array, number][] = [
    [plainRequest("GET_QUEUE_NUM"), 17],
    [vringStateRequest("SET_VRING_ENABLE", { index: 0, value: 1 }), 18],
    [vringAddressRequest(address), 9],
    [memoryTableRequest([REGION]), 5],
    [memoryRegionRequest("REM_MEM_REG", REGION), 38],
    [configRequest("GET_CONFIG", config), 24],
  ];
  for (const [bytes, request] of built) {
    expect(decodeHeader(bytes)).toEqual({ request, flags: 1, sizeBytes: bytes.length - HEADER_BYTES });
  }
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
