/**
 * Cuts a vhost-user stream into messages. The peer writes these bytes; it may be another user's virtual machine monitor
 * or no such thing at all. Whatever comes, a reader holds at most one message of PAYLOAD_BYTES_MAX bytes, asks for no
 * byte behind it, and answers with a message that fits its table or with a refusal.
 */
import { VhostUserError, type VhostUserErrorCode } from "./error.ts";
import {
  decodeHeader,
  HEADER_BYTES,
  HeaderFlag,
  looksLikeStreamFrame,
  type MessageHeader,
  REPLY_FLAGS,
} from "./header.ts";
import { REGION_BYTES, REGIONS_MAX } from "./payload.ts";
import { PAYLOAD_BYTES_MAX, PAYLOAD_SIZES, type RequestRow, type RequestTable } from "./requests.ts";

/** A message whose flags, size and number of file descriptors are what its row of the table asks for. */
export interface Message {
  readonly kind: "message";
  readonly row: RequestRow;
  readonly needReply: boolean;
  /** The receiver owns it. */
  readonly payload: Uint8Array;
  readonly fdCount: number;
}

/** A message that was read to its end and has no effect; `row` is null when its number is unknown. */
export interface Refusal {
  readonly kind: "refusal";
  readonly request: number;
  readonly row: RequestRow | null;
  readonly needReply: boolean;
  readonly error: VhostUserError;
}

/** Reads one direction of a connection: `requests` of a table, or the `replies` to them. */
export class MessageReader {
  readonly #table: RequestTable;
  readonly #role: "requests" | "replies";
  readonly #headerBytes: Uint8Array = new Uint8Array(HEADER_BYTES);
  #header: MessageHeader | null = null;
  #row: RequestRow | null = null;
  #error: VhostUserError | null = null;
  #payload: Uint8Array = NO_BYTES;
  #filled = 0;
  #fdCount = 0;
  #closed = false;

  constructor(table: RequestTable, role: "requests" | "replies" = "requests") {
    this.#table = table;
    this.#role = role;
  }

  /**
   * How many bytes to read next, at most: the file descriptors of a message come with its first bytes and would be
   * lost by a read that goes on into the next one. 0 once the stream cannot be read any more.
   */
  get wantedBytes(): number {
    if (this.#closed) return 0;
    if (this.#header === null) return HEADER_BYTES - this.#filled;
    return Math.min(this.#header.sizeBytes - this.#filled, PAYLOAD_BYTES_MAX);
  }

  /**
   * Takes the next bytes, at most {@link MessageReader.wantedBytes}, and the number of file descriptors that came with
   * them. Returns the message or refusal that they complete, or null.
   *
   * @throws RangeError when there are more bytes than were wanted: a mistake of the caller.
   */
  feed(bytes: Uint8Array, fdCount = 0): Message | Refusal | null {
    if (bytes.length > this.wantedBytes) throw new RangeError(`${bytes.length} bytes, ${this.wantedBytes} wanted`);
    this.#fdCount += fdCount;
    if (this.#header === null) {
      this.#headerBytes.set(bytes, this.#filled);
      this.#filled += bytes.length;
      if (this.#filled < HEADER_BYTES) return null;
      this.#filled = 0;
      const header = decodeHeader(this.#headerBytes);
      this.#begin(header);
      return this.#closed || header.sizeBytes === 0 ? this.#finish(header) : null;
    }
    // Of a message that is refused anyway the payload is only counted.
    if (this.#error === null) this.#payload.set(bytes, this.#filled);
    this.#filled += bytes.length;
    return this.#filled === this.#header.sizeBytes ? this.#finish(this.#header) : null;
  }

  /** The peer closed its side: null at the end of a message, else the error. */
  end(): VhostUserError | null {
    const inside = !this.#closed && (this.#header !== null || this.#filled > 0);
    this.#closed = true;
    return inside ? new VhostUserError("TRUNCATED", "the stream ended in the middle of a message") : null;
  }

  #begin(header: MessageHeader): void {
    this.#header = header;
    this.#row = this.#table.get(header.request) ?? null;
    this.#error = this.#checkHeader(header, this.#row);
    this.#closed = this.#error?.action() === "disconnect";
    this.#payload = this.#error === null && header.sizeBytes > 0 ? new Uint8Array(header.sizeBytes) : NO_BYTES;
  }

  #checkHeader(header: MessageHeader, row: RequestRow | null): VhostUserError | null {
    const { flags, sizeBytes, request } = header;
    if ((flags & HeaderFlag.versionMask) !== HeaderFlag.version) {
      return looksLikeStreamFrame(this.#headerBytes)
        ? new VhostUserError("BAD_VERSION", "the peer sends stream-mode frames (-netdev stream), not vhost-user")
        : new VhostUserError("BAD_VERSION", `not vhost-user version 1 (flags 0x${flags.toString(16)})`);
    }
    if (row === null) return new VhostUserError("UNKNOWN_REQUEST", `unknown request ${request}`);
    const what = this.#role === "requests" ? row.name : `reply to ${row.name}`;
    if (this.#role === "replies" ? flags !== REPLY_FLAGS : (flags & HeaderFlag.reply) !== 0) {
      return new VhostUserError("BAD_FLAGS", `${what}: flags 0x${flags.toString(16)}`);
    }
    const kind = this.#role === "requests" ? row.payload : row.replyPayload;
    const [min, max] = PAYLOAD_SIZES[kind];
    // "An empty payload indicates an error" (GET_CONFIG), and what else could it mean where one is due?
    if (this.#role === "replies" && sizeBytes === 0 && min > 0) {
      return new VhostUserError("REFUSED_BY_PEER", `${row.name} was refused with an empty reply`);
    }
    if (sizeBytes < min || sizeBytes > max) {
      return new VhostUserError("BAD_SIZE", `${what}: payload of ${sizeBytes} bytes`);
    }
    return null;
  }

  #finish(header: MessageHeader): Message | Refusal {
    const row = this.#row;
    const payload = this.#payload;
    const fdCount = this.#fdCount;
    const needReply = (header.flags & HeaderFlag.needReply) !== 0;
    let error = this.#error;
    if (error === null && row !== null && this.#role === "requests") error = checkFds(row, payload, fdCount);
    this.#header = null;
    this.#row = null;
    this.#error = null;
    this.#payload = NO_BYTES;
    this.#filled = 0;
    this.#fdCount = 0;
    if (error === null && row !== null) return { kind: "message", row, needReply, payload, fdCount };
    error ??= new VhostUserError("UNKNOWN_REQUEST", `unknown request ${header.request}`);
    return { kind: "refusal", request: header.request, row, needReply, error };
  }
}

/** Compares the number of file descriptors with the rule of the row; a table longer than its payload is refused too. */
function checkFds(row: RequestRow, payload: Uint8Array, fdCount: number): VhostUserError | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const refuse = (code: VhostUserErrorCode, why: string) => new VhostUserError(code, `${row.name}: ${why}`);
  let expected = 0;
  switch (row.fds) {
    case "none":
      break;
    case "one":
      expected = 1;
      break;
    case "optional":
      if (fdCount <= 1) return null;
      expected = 1;
      break;
    case "unlessNoFd":
      expected = (view.getUint32(0, true) & 0x100) === 0 ? 1 : 0;
      break;
    case "perRegion":
      expected = view.getUint32(0, true);
      if (expected > REGIONS_MAX) return refuse("BAD_MEMORY", `${expected} memory regions, at most ${REGIONS_MAX}`);
      if (payload.length < 8 + expected * REGION_BYTES) {
        return refuse("BAD_SIZE", `${expected} regions in a payload of ${payload.length} bytes`);
      }
      break;
    default:
      return row.fds satisfies never;
  }
  return fdCount === expected ? null : refuse("BAD_FDS", `${fdCount} file descriptors, ${expected} expected`);
}

const NO_BYTES = new Uint8Array(0);
