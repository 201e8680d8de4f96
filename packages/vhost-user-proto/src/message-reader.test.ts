import { describe, expect, test } from "bun:test";
import { encodeConfig } from "./config-payload.ts";
import { VhostUserError } from "./error.ts";
import { plainRequest, u64Request, vringFdRequest, vringStateRequest } from "./front-end.ts";
import { encodeMessage, encodeReply, encodeRequest, HEADER_BYTES } from "./header.ts";
import { type Message, MessageReader, type Refusal } from "./message-reader.ts";
import { encodeMemoryTable, encodeU64, encodeVringState } from "./payload.ts";
import {
  BACK_END_REQUESTS,
  BackEndRequest,
  FRONT_END_REQUESTS,
  FrontEndRequest,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_SIZES,
  type RequestRow,
} from "./requests.ts";

/** Feeds `bytes` in pieces of at most `pieceBytes`, all file descriptors with the first. */
function readAll(reader: MessageReader, bytes: Uint8Array, fdCount = 0, pieceBytes = 1 << 20): (Message | Refusal)[] {
  const read: (Message | Refusal)[] = [];
  let at = 0;
  while (at < bytes.length && reader.wantedBytes > 0) {
    const take = Math.min(reader.wantedBytes, bytes.length - at, pieceBytes);
    const result = reader.feed(bytes.subarray(at, at + take), at === 0 ? fdCount : 0);
    if (result !== null) read.push(result);
    at += take;
  }
  return read;
}

function readOne(bytes: Uint8Array, fdCount = 0): Message | Refusal {
  const read = readAll(new MessageReader(FRONT_END_REQUESTS), bytes, fdCount);
  expect(read).toHaveLength(1);
  return read[0] as Message | Refusal;
}

function codeOf(read: Message | Refusal): string {
  return read.kind === "message" ? "message" : read.error.code;
}

const REGION = { guestAddress: 0n, sizeBytes: 4096n, userAddress: 0n, mmapOffset: 0n };

/** A payload and fd count that satisfy the row. */
function valid(row: RequestRow): [Uint8Array, number] {
  if (row.payload === "memoryTable") return [encodeMemoryTable([REGION]), 1];
  if (row.payload === "config") return [encodeConfig({ offset: 0, flags: 0, contents: new Uint8Array(6) }), 0];
  return [new Uint8Array(PAYLOAD_SIZES[row.payload][0]), row.fds === "one" || row.fds === "unlessNoFd" ? 1 : 0];
}

describe("the table", () => {
  test("holds every number of both directions once", () => {
    expect([...FRONT_END_REQUESTS.keys()]).toEqual(Array.from({ length: 45 }, (_, i) => i + 1));
    expect([...BACK_END_REQUESTS.keys()]).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));
    expect(FRONT_END_REQUESTS.get(FrontEndRequest.SET_MEM_TABLE)?.name).toBe("SET_MEM_TABLE");
    expect(BACK_END_REQUESTS.get(BackEndRequest.VRING_ERR)?.name).toBe("VRING_ERR");
  });
});

/** Every size of a message up to the longest memory table, and those around each limit. */
const SIZES: readonly number[] = [
  ...Array.from({ length: 281 }, (_, i) => i),
  ...[PAYLOAD_BYTES_MAX - 1, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX + 1, 10_000],
];

describe("every size and count of file descriptors of each request", () => {
  for (const row of FRONT_END_REQUESTS.values()) {
    test(row.name, () => {
      const [payload, fds] = valid(row);
      const read = readOne(encodeRequest(row.request, payload, true), fds);
      expect(read).toMatchObject({ kind: "message", row, needReply: true, fdCount: fds, payload });
      const [min, max] = PAYLOAD_SIZES[row.payload];
      for (const size of SIZES) {
        const code = codeOf(readOne(encodeRequest(row.request, new Uint8Array(size)), fds));
        if (size < min || size > max) expect([size, code]).toEqual([size, "BAD_SIZE"]);
        else expect([size, code]).not.toEqual([size, "BAD_SIZE"]);
      }
      if (row.fds !== "optional") {
        expect(codeOf(readOne(encodeRequest(row.request, payload), fds + 1))).toBe("BAD_FDS");
      }
      expect(codeOf(readOne(encodeRequest(row.request, payload), fds + 2))).toBe("BAD_FDS");
      if (fds > 0) expect(codeOf(readOne(encodeRequest(row.request, payload), fds - 1))).toBe("BAD_FDS");
      expect(codeOf(readOne(encodeMessage(row.request, 5, payload), fds))).toBe("BAD_FLAGS");
    });
  }
});

describe("memory table", () => {
  test("a payload sized for two regions that names one is taken (User-Mode Linux)", () => {
    const bytes = encodeRequest(FrontEndRequest.SET_MEM_TABLE, encodeMemoryTable([REGION], 2));
    expect(readOne(bytes, 1)).toMatchObject({ kind: "message", fdCount: 1 });
    expect(codeOf(readOne(bytes, 2))).toBe("BAD_FDS");
  });

  test("more regions than the payload holds, or than the protocol allows", () => {
    const payload = encodeMemoryTable([REGION]);
    payload[0] = 2;
    expect(codeOf(readOne(encodeRequest(FrontEndRequest.SET_MEM_TABLE, payload), 2))).toBe("BAD_SIZE");
    payload[0] = 9;
    expect(codeOf(readOne(encodeRequest(FrontEndRequest.SET_MEM_TABLE, payload), 9))).toBe("BAD_MEMORY");
    payload[3] = 0xff;
    expect(codeOf(readOne(encodeRequest(FrontEndRequest.SET_MEM_TABLE, payload), 0))).toBe("BAD_MEMORY");
  });
});

describe("the stream", () => {
  test("kick without file descriptor carries bit 8", () => {
    const [index, name] = [1, "SET_VRING_KICK"] as const;
    expect(codeOf(readOne(vringFdRequest(name, { index, hasFd: false }), 0))).toBe("message");
    expect(codeOf(readOne(vringFdRequest(name, { index, hasFd: false }), 1))).toBe("BAD_FDS");
    expect(codeOf(readOne(vringFdRequest(name, { index, hasFd: true }), 0))).toBe("BAD_FDS");
  });

  test("messages are cut right whatever the pieces", () => {
    const stream = [
      ...plainRequest("GET_FEATURES"),
      ...encodeRequest(77, new Uint8Array(PAYLOAD_BYTES_MAX + 1000).fill(0xa5)),
      ...u64Request("SET_FEATURES", 0x1_4000_8000n, true),
      ...encodeMessage(3, 5, new Uint8Array(0)),
      ...vringStateRequest("SET_VRING_NUM", { index: 1, value: 256 }),
    ];
    for (const pieceBytes of [1, 5, 12, 13, 4096, 1 << 20]) {
      const read = readAll(new MessageReader(FRONT_END_REQUESTS), new Uint8Array(stream), 0, pieceBytes);
      expect(read.map(codeOf)).toEqual(["message", "UNKNOWN_REQUEST", "message", "BAD_FLAGS", "message"]);
      expect((read[2] as Message).payload).toEqual(encodeU64(0x1_4000_8000n));
      expect((read[4] as Message).payload).toEqual(encodeVringState({ index: 1, value: 256 }));
    }
  });

  test("no read is asked for across a message", () => {
    const reader = new MessageReader(FRONT_END_REQUESTS);
    expect(reader.wantedBytes).toBe(HEADER_BYTES);
    reader.feed(plainRequest("GET_FEATURES").subarray(0, 3));
    expect(reader.wantedBytes).toBe(HEADER_BYTES - 3);
    expect(() => reader.feed(new Uint8Array(HEADER_BYTES))).toThrow(RangeError);
    reader.feed(plainRequest("GET_FEATURES").subarray(3));
    reader.feed(u64Request("SET_FEATURES", 1n).subarray(0, 12));
    expect(reader.wantedBytes).toBe(8);
  });

  test("a wrong version ends the stream, a stream-mode frame is named", () => {
    const reader = new MessageReader(FRONT_END_REQUESTS);
    const frame = new Uint8Array(64);
    new DataView(frame.buffer).setUint32(0, 60, false);
    frame.fill(0xff, 4, 10);
    const [read] = readAll(reader, frame);
    expect(read).toMatchObject({ kind: "refusal", error: { code: "BAD_VERSION" } });
    expect((read as Refusal).error.message).toContain("stream-mode");
    expect((read as Refusal).error.action()).toBe("disconnect");
    expect(reader.wantedBytes).toBe(0);
    expect((readOne(encodeMessage(1, 0, new Uint8Array(0))) as Refusal).error.message).toContain("flags 0x0");
  });

  test("the end inside a message is an error, between messages it is not", () => {
    const clean = new MessageReader(FRONT_END_REQUESTS);
    expect(clean.end()).toBeNull();
    for (const bytes of [1, 12, 15]) {
      const reader = new MessageReader(FRONT_END_REQUESTS);
      readAll(reader, u64Request("SET_FEATURES", 1n).subarray(0, bytes));
      expect(reader.end()?.code).toBe("TRUNCATED");
      expect(reader.wantedBytes).toBe(0);
    }
  });

  test("replies must have flags of exactly 5 and the size of their kind", () => {
    const one = (bytes: Uint8Array) => readAll(new MessageReader(FRONT_END_REQUESTS, "replies"), bytes)[0];
    expect(one(encodeReply(1, encodeU64(7)))).toMatchObject({ kind: "message", payload: encodeU64(7) });
    expect(one(encodeMessage(1, 13, encodeU64(7)))).toMatchObject({ error: { code: "BAD_FLAGS" } });
    expect(one(encodeMessage(1, 1, encodeU64(7)))).toMatchObject({ error: { code: "BAD_FLAGS" } });
    expect(one(encodeReply(24, new Uint8Array(0)))).toMatchObject({ error: { code: "REFUSED_BY_PEER" } });
    expect(one(encodeReply(24, new Uint8Array(1)))).toMatchObject({ error: { code: "BAD_SIZE" } });
    expect(one(encodeReply(5, encodeU64(0)))).toMatchObject({ kind: "message" });
  });
});

test("every error code has an action", () => {
  expect(new VhostUserError("TRUNCATED", "").action()).toBe("disconnect");
  expect(new VhostUserError("UNEXPECTED_REPLY", "").action()).toBe("disconnect");
  expect(new VhostUserError("BAD_RING", "").action()).toBe("refuse");
});
