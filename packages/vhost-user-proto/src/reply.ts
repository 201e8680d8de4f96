/** The answering side: which messages get a reply, and with which bytes. */
import { hasFeature, ProtocolFeature } from "./features.ts";
import { encodeU64 } from "./payload.ts";
import type { RequestRow } from "./requests.ts";

/**
 * What a message is answered with: `own` the reply that its request describes, `status` a u64 that is 0 for success,
 * `none` nothing at all, as who did not ask for a reply takes it for that to the next request.
 */
export type ReplyForm = "own" | "status" | "none";

/**
 * Says which reply a message gets (vhost-user, "Communication" and "REPLY_ACK").
 *
 * @param row its row of the table; null for a request that is unknown, which is answered like any without own reply.
 * @param needReply its need_reply flag.
 * @param protocolFeatures the mask that was negotiated, after the message took effect.
 */
export function replyForm(row: RequestRow | null, needReply: boolean, protocolFeatures: bigint): ReplyForm {
  if (row?.reply === "own") return "own";
  if (row?.reply === "ownIfNegotiated" && hasFeature(protocolFeatures, row.protocolFeature)) return "own";
  return needReply && hasFeature(protocolFeatures, ProtocolFeature.REPLY_ACK) ? "status" : "none";
}

/** The payload of a status reply to a message that was carried out; the caller owns it. */
export function acceptedPayload(): Uint8Array {
  return encodeU64(0);
}

/** Error 1; bit 8 says that no file descriptor comes with it, for the one request whose reply may bring one. */
const REFUSED = 0x101;

/**
 * The payload of the reply to a message that was refused; the caller owns it.
 *
 * A reply of its own is a non-zero status where that is its kind, or where it only takes the place of one (SET_LOG_BASE,
 * whose empty reply would be a success); else it is empty: who waits for a payload of a certain
 * length learns that there is an error (GET_CONFIG says so; for the others it is the best there is), and does not wait
 * on.
 */
export function refusedPayload(row: RequestRow | null, form: "own" | "status"): Uint8Array {
  const isStatus = row === null || row.replyPayload === "status" || row.reply === "ownIfNegotiated";
  if (form === "own" && !isStatus) return new Uint8Array(0);
  return encodeU64(form === "own" ? REFUSED : 1);
}
