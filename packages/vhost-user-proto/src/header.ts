import { VhostUserError } from "./error.ts";

/** Bytes of the header of each message: u32 request, u32 flags, u32 payload size, in native byte order. */
export const HEADER_BYTES: 12 = 12;

/** Bits of the header's flags (vhost-user, "Header"). */
export const HeaderFlag = {
  versionMask: 0x3,
  version: 0x1,
  reply: 0x4,
  needReply: 0x8,
} as const;

/** The flags of every reply, and nothing beside them: User-Mode Linux and DPDK compare for equality. */
export const REPLY_FLAGS: 5 = 5;

/** The fixed part of a message. */
export interface MessageHeader {
  readonly request: number;
  readonly flags: number;
  readonly sizeBytes: number;
}

/** Reads the header in the first {@link HEADER_BYTES} bytes of `bytes`. */
export function decodeHeader(bytes: Uint8Array): MessageHeader {
  if (bytes.length < HEADER_BYTES) throw new VhostUserError("TRUNCATED", `header of ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  return {
    request: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    sizeBytes: view.getUint32(8, true),
  };
}

/** One whole message: header and payload in a new array that the caller owns. */
export function encodeMessage(request: number, flags: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, request, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, payload.length, true);
  message.set(payload, HEADER_BYTES);
  return message;
}

/** A request of version 1; with `needReply` the receiver answers 0 or an error even where nothing is asked. */
export function encodeRequest(request: number, payload: Uint8Array, needReply = false): Uint8Array {
  return encodeMessage(request, HeaderFlag.version | (needReply ? HeaderFlag.needReply : 0), payload);
}

/** A reply to `request`, with flags of exactly {@link REPLY_FLAGS}. */
export function encodeReply(request: number, payload: Uint8Array): Uint8Array {
  return encodeMessage(request, REPLY_FLAGS, payload);
}

/** The Ethernet frame lengths that make the first four bytes of a stream a plausible length prefix. */
const STREAM_FRAME_BYTES_MIN = 14;
const STREAM_FRAME_BYTES_MAX = 65_535 + 14 + 4;

/**
 * Says whether the first bytes of a connection look like a frame of QEMU's stream netdev, a big-endian u32 length and
 * an Ethernet frame, instead of a vhost-user header. For a clear message only; such a header is refused in any case.
 */
export function looksLikeStreamFrame(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if ((view.getUint32(4, true) & HeaderFlag.versionMask) === HeaderFlag.version && view.getUint32(0, true) < 0x10000) {
    return false;
  }
  const length = view.getUint32(0, false);
  return length >= STREAM_FRAME_BYTES_MIN && length <= STREAM_FRAME_BYTES_MAX;
}
