import type { FrontEndPort } from "../front-end-session.ts";
import { encodeReply, HEADER_BYTES } from "../header.ts";
import { type Message, MessageReader, type Refusal } from "../message-reader.ts";
import { acceptedPayload, replyForm } from "../reply.ts";
import { FRONT_END_REQUESTS, type FrontEndRequest } from "../requests.ts";

/** A request that a {@link ScriptedBackEnd} got. */
export interface ReceivedRequest {
  readonly name: string;
  readonly needReply: boolean;
  readonly payload: Uint8Array;
  readonly fds: readonly number[];
}

/** Payloads of replies, by the name of their request. */
export type Answers = Partial<Record<keyof typeof FrontEndRequest, Uint8Array>>;

/**
 * A back-end that only answers, for tests of front-ends: as it is told, or with success. It keeps what it was asked,
 * and negotiates REPLY_ACK whenever a request wants an answer.
 */
export class ScriptedBackEnd implements FrontEndPort {
  readonly answers: Answers;
  /** What comes with the next reply. */
  fd = -1;
  readonly #requests: ReceivedRequest[] = [];
  readonly #replies: Uint8Array[] = [];

  constructor(answers: Answers) {
    this.answers = answers;
  }

  send(message: Uint8Array, fds: readonly number[]): void {
    const read = readWhole(message, "requests", fds.length);
    if (read.kind === "refusal") throw read.error;
    const { row, needReply, payload } = read;
    this.#requests.push({ name: row.name, needReply, payload, fds });
    const answer = this.answers[row.name as keyof Answers];
    const form = answer === undefined ? replyForm(row, needReply, needReply ? ~0n : 0n) : "own";
    if (form !== "none") this.#replies.push(encodeReply(row.request, answer ?? acceptedPayload()));
  }

  receive(): Message | Refusal {
    const reply = this.#replies.shift();
    if (reply === undefined) throw new Error("no reply will come");
    return readWhole(reply);
  }

  takeFd(): number {
    const { fd } = this;
    this.fd = -1;
    return fd;
  }

  /** What it was asked since this was last called. */
  take(): ReceivedRequest[] {
    return this.#requests.splice(0);
  }
}

/** Reads one message. */
export function readWhole(
  message: Uint8Array,
  role: "requests" | "replies" = "replies",
  fdCount = 0,
): Message | Refusal {
  const reader = new MessageReader(FRONT_END_REQUESTS, role);
  const header = reader.feed(message.subarray(0, HEADER_BYTES), fdCount);
  const read = header ?? reader.feed(message.subarray(HEADER_BYTES));
  if (read === null) throw new Error("half a message");
  return read;
}
