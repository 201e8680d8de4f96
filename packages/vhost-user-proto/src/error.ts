/** Everything that can be wrong with a vhost-user message. */
export type VhostUserErrorCode =
  /** The version bits are not 1: the peer does not speak vhost-user, or the stream is out of step. */
  | "BAD_VERSION"
  /** The stream ended in the middle of a message. */
  | "TRUNCATED"
  /** A request number that the table does not hold. */
  | "UNKNOWN_REQUEST"
  /** A known request that this side does not serve, or whose protocol feature was not offered. */
  | "NOT_SUPPORTED"
  /** The reply bit is set in a request, missing in a reply, or the flags of a reply are not exactly 5. */
  | "BAD_FLAGS"
  /** The payload is shorter or longer than its kind allows. */
  | "BAD_SIZE"
  /** More or fewer file descriptors than the message calls for. */
  | "BAD_FDS"
  /** A field holds a value out of range. */
  | "BAD_VALUE"
  /** A ring index that the device does not have. */
  | "BAD_INDEX"
  /** Memory that cannot be mapped: overlap, overflow, a file that is too short. */
  | "BAD_MEMORY"
  /** A ring address that is not mapped, or misaligned. */
  | "BAD_RING"
  /** The request makes no sense in the state the device is in. */
  | "BAD_STATE"
  /** Features that must not be acknowledged without others: the peer cannot be told in any other way than by the end. */
  | "BAD_NEGOTIATION"
  /** A reply that answers another request than the one that was sent. */
  | "UNEXPECTED_REPLY"
  /** The other side answered a request with an error: it had no effect. */
  | "REFUSED_BY_PEER";

/**
 * What the receiver does about an error: `refuse` = no effect, answer non-zero when asked, read on; `disconnect` = the
 * stream cannot be trusted any more, close it and wait for the next peer.
 */
export type VhostUserErrorAction = "refuse" | "disconnect";

/** A message that was refused, and why; `message` is one line fit for a log. */
export class VhostUserError extends Error {
  readonly code: VhostUserErrorCode;

  constructor(code: VhostUserErrorCode, message: string) {
    super(message);
    this.name = "VhostUserError";
    this.code = code;
  }

  /** What to do about it; every code is listed, so that a new one has to be decided on. */
  action(): VhostUserErrorAction {
    switch (this.code) {
      // Framing is lost: where the next header begins is unknown.
      case "BAD_VERSION":
      case "TRUNCATED":
        return "disconnect";
      // The specification has it so.
      case "BAD_NEGOTIATION":
        return "disconnect";
      // The peer answers something else than it was asked: all later replies would be off by one.
      case "UNEXPECTED_REPLY":
        return "disconnect";
      case "UNKNOWN_REQUEST":
      case "NOT_SUPPORTED":
      case "BAD_FLAGS":
      case "BAD_SIZE":
      case "BAD_FDS":
      case "BAD_VALUE":
      case "BAD_INDEX":
      case "BAD_MEMORY":
      case "BAD_RING":
      case "BAD_STATE":
      case "REFUSED_BY_PEER":
        return "refuse";
      default:
        return this.code satisfies never;
    }
  }
}
