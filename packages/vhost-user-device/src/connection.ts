/**
 * The socket of one front-end. Whoever can connect writes these bytes and chooses the file descriptors: each descriptor
 * has an owner from its arrival on, and is closed with the message unless a handler took it.
 */
import { EpollEvent, type EventHandler, type EventLoop } from "@passt-ts/linux/event-loop";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { Errno, errnoMessage } from "@passt-ts/linux/system-error";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import { encodeReply } from "@passt-ts/vhost-user-proto/header";
import { type Message, MessageReader, type Refusal } from "@passt-ts/vhost-user-proto/message-reader";
import { acceptedPayload, refusedPayload, replyForm } from "@passt-ts/vhost-user-proto/reply";
import { FRONT_END_REQUESTS, PAYLOAD_BYTES_MAX } from "@passt-ts/vhost-user-proto/requests";
import { DeviceCounter } from "./device-counter.ts";
import type { Log, LogLevel } from "./log.ts";
import { ReceivedFds } from "./received-fds.ts";
import type { OwnReply } from "./request-handlers.ts";

/** Reads of one event, so that a front-end that never stops talking leaves time for frames. */
const READS_PER_EVENT = 128;

/** Refusals that are logged one by one; more are counted. */
const REFUSALS_LOGGED = 20;

/** Who carries out the messages of a connection. */
export interface MessageTarget {
  /** Returns the message's own reply, or null. A throw refuses it. */
  handle(message: Message, fds: ReceivedFds): OwnReply | null;
  /** The protocol features that are negotiated now; they decide on what is answered. */
  readonly protocolFeatures: bigint;
  /** The connection is closed; `why` is fit for a log, as a warning when the peer was refused. */
  disconnected(why: string, level: LogLevel): void;
}

/** What a connection works with. */
export interface ConnectionContext {
  readonly loop: EventLoop;
  /** Indices: {@link DeviceCounter}. */
  readonly counters: Float64Array;
  readonly log: Log;
}

/** Reads messages, has them carried out, and answers. */
export class Connection implements EventHandler {
  readonly #socket: OwnedFd;
  readonly #context: ConnectionContext;
  readonly #target: MessageTarget;
  readonly #reader: MessageReader = new MessageReader(FRONT_END_REQUESTS);
  readonly #messages: UnixMessages = new UnixMessages();
  readonly #bytes: Uint8Array = new Uint8Array(PAYLOAD_BYTES_MAX);
  readonly #fdsRead: Int32Array = new Int32Array(64);
  #fds: ReceivedFds = new ReceivedFds();
  /** Descriptors of the present message did not arrive: more than could be taken, or none free here. */
  #fdsLost = false;
  #registration: number;
  #refusals = 0;

  /** Takes over a connected socket. @throws Error when it cannot be waited for; it is closed then. */
  constructor(socket: OwnedFd, context: ConnectionContext, target: MessageTarget) {
    this.#socket = socket;
    this.#context = context;
    this.#target = target;
    this.#registration = context.loop.add(socket.fd, EpollEvent.readable, this, 0);
    if (this.#registration < 0) {
      socket.close();
      throw new Error(`cannot wait for the front-end's socket: ${errnoMessage(this.#registration)}`);
    }
  }

  get isOpen(): boolean {
    return this.#registration >= 0;
  }

  /** Reads what has arrived, at most a bounded number of messages. */
  onEvent(): void {
    for (let reads = 0; reads < READS_PER_EVENT && this.isOpen; reads++) if (!this.#read()) return;
  }

  /** Closes the socket and tells the target; later calls do nothing. */
  close(why: string, level: LogLevel = "info"): void {
    if (!this.isOpen) return;
    this.#context.loop.remove(this.#registration);
    this.#registration = -1;
    this.#fds[Symbol.dispose]();
    this.#socket.close();
    const unlogged = this.#refusals - REFUSALS_LOGGED;
    if (unlogged > 0) this.#context.log("warning", `${unlogged} more messages were refused`);
    this.#target.disconnected(why, level);
  }

  /** Reads once, never across a message. False when nothing more waits. */
  #read(): boolean {
    const wanted = this.#reader.wantedBytes;
    const result = this.#messages.receive(this.#socket.fd, this.#bytes, 0, wanted, this.#fdsRead);
    if (result === -Errno.EAGAIN || result === -Errno.EINTR) return false;
    if (result <= 0) {
      const inside = this.#reader.end();
      this.close(result === 0 ? (inside?.message ?? "it closed the connection") : errnoMessage(result));
      return false;
    }
    this.#fds.add(this.#fdsRead, this.#messages.fdCount);
    if (this.#messages.fdsRefused) this.#fdsLost = true;
    const read = this.#reader.feed(this.#bytes.subarray(0, result), this.#messages.fdCount);
    if (read === null) return true;
    using fds = this.#fds;
    const lost = this.#fdsLost;
    this.#fds = new ReceivedFds();
    this.#fdsLost = false;
    const error = read.kind === "refusal" ? read.error : null;
    const why = lost && error?.action() !== "disconnect" ? fdsLost() : error;
    if (why !== null) this.#refuse(read, why);
    else if (read.kind === "message") this.#carryOut(read, fds);
    return true;
  }

  #carryOut(message: Message, fds: ReceivedFds): void {
    this.#context.counters[DeviceCounter.messages]++;
    const { row, needReply } = message;
    let reply: OwnReply | null;
    try {
      reply = this.#target.handle(message, fds);
    } catch (error) {
      this.#refuse(message, error);
      return;
    }
    const form = replyForm(row, needReply, this.#target.protocolFeatures);
    if (form === "own") this.#send(row.request, reply?.payload ?? NO_PAYLOAD, reply?.fd?.fd);
    else if (form === "status") this.#send(row.request, acceptedPayload());
    reply?.fd?.close();
  }

  /** Logs why, and answers in the way that the request allows. */
  #refuse(read: Message | Refusal, error: unknown): void {
    const { row, needReply } = read;
    const request = read.kind === "refusal" ? read.request : read.row.request;
    this.#context.counters[DeviceCounter.messagesRefused]++;
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof VhostUserError && error.action() === "disconnect") {
      this.close(why, "warning");
      return;
    }
    if (++this.#refusals <= REFUSALS_LOGGED) {
      const name = row?.name ?? `request ${request}`;
      this.#context.log("warning", `refused ${why.startsWith(`${name}: `) ? why : `${name}: ${why}`}`);
    }
    const form = replyForm(row, needReply, this.#target.protocolFeatures);
    if (form !== "none") this.#send(request, refusedPayload(row, form));
  }

  #send(request: number, payload: Uint8Array, fd?: number): void {
    const reply = encodeReply(request, payload);
    const sent = this.#messages.send(this.#socket.fd, reply, reply.length, fd === undefined ? undefined : [fd]);
    if (sent === reply.length) return;
    this.close(sent < 0 ? `reply not sent: ${errnoMessage(sent)}` : "reply sent in part only");
  }
}

const NO_PAYLOAD = new Uint8Array(0);

function fdsLost(): VhostUserError {
  return new VhostUserError("BAD_FDS", "file descriptors were lost: too many came, or too few are free here");
}
