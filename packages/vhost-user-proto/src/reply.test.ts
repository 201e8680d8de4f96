import { expect, test } from "bun:test";
import { featureBit, ProtocolFeature } from "./features.ts";
import { decodeU64 } from "./payload.ts";
import { acceptedPayload, refusedPayload, replyForm } from "./reply.ts";
import { BACK_END_REQUESTS, BackEndRequest, FRONT_END_REQUESTS, FrontEndRequest } from "./requests.ts";

const REPLY_ACK = featureBit(ProtocolFeature.REPLY_ACK);

const row = (name: keyof typeof FrontEndRequest) => FRONT_END_REQUESTS.get(FrontEndRequest[name]) ?? null;

test("a request without reply of its own is answered only when it asks and REPLY_ACK is negotiated", () => {
  for (const each of [row("SET_FEATURES"), row("SET_VRING_ADDR"), row("SET_CONFIG"), null]) {
    expect(replyForm(each, false, 0n)).toBe("none");
    expect(replyForm(each, false, REPLY_ACK)).toBe("none");
    expect(replyForm(each, true, ~REPLY_ACK)).toBe("none");
    expect(replyForm(each, true, REPLY_ACK)).toBe("status");
  }
});

test("a request with a reply of its own is answered whatever is negotiated", () => {
  const own = [...FRONT_END_REQUESTS.values()].filter((each) => each.reply === "own").map((each) => each.name);
  expect(own).toEqual([
    ...["GET_FEATURES", "GET_VRING_BASE", "GET_PROTOCOL_FEATURES", "GET_QUEUE_NUM", "IOTLB_MSG", "GET_CONFIG"],
    ...["CREATE_CRYPTO_SESSION", "POSTCOPY_ADVISE", "POSTCOPY_END", "GET_INFLIGHT_FD", "GET_MAX_MEM_SLOTS"],
    ...["GET_STATUS", "GET_SHARED_OBJECT", "SET_DEVICE_STATE_FD", "CHECK_DEVICE_STATE", "GET_SHMEM_CONFIG"],
    "GET_VRING_BASE_SKIP_DRAIN",
  ]);
  for (const needReply of [false, true]) expect(replyForm(row("GET_FEATURES"), needReply, 0n)).toBe("own");
});

test("SET_LOG_BASE has a reply of its own only with LOG_SHMFD", () => {
  const log = row("SET_LOG_BASE");
  expect(replyForm(log, false, featureBit(ProtocolFeature.LOG_SHMFD))).toBe("own");
  expect(replyForm(log, false, REPLY_ACK)).toBe("none");
  expect(replyForm(log, true, REPLY_ACK)).toBe("status");
  expect(replyForm(log, true, 0n)).toBe("none");
});

test("a refusal is a non-zero status where the reply is one, and empty where it is something else", () => {
  expect(decodeU64(acceptedPayload())).toBe(0n);
  expect(decodeU64(refusedPayload(row("SET_FEATURES"), "status"))).toBe(1n);
  expect(decodeU64(refusedPayload(null, "status"))).toBe(1n);
  for (const name of ["GET_CONFIG", "GET_VRING_BASE", "GET_FEATURES"] as const) {
    expect(refusedPayload(row(name), "own")).toHaveLength(0);
  }
  // The low byte is the error, bit 8 says that no descriptor comes.
  for (const name of [
    "SET_LOG_BASE",
    "IOTLB_MSG",
    "POSTCOPY_END",
    "SET_DEVICE_STATE_FD",
    "CHECK_DEVICE_STATE",
  ] as const) {
    expect(decodeU64(refusedPayload(row(name), "own"))).toBe(0x101n);
  }
  const lookup = BACK_END_REQUESTS.get(BackEndRequest.SHARED_OBJECT_LOOKUP) ?? null;
  expect(decodeU64(refusedPayload(lookup, "own"))).toBe(0x101n);
});
