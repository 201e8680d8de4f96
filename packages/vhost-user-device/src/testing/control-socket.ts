import { closeFd, type OwnedFd } from "@passt-ts/linux/owned-fd";
import { Errno } from "@passt-ts/linux/system-error";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { replyPayload } from "@passt-ts/vhost-user-proto/front-end";
import type { FrontEndPort } from "@passt-ts/vhost-user-proto/front-end-session";
import { decodeHeader, HEADER_BYTES, HeaderFlag } from "@passt-ts/vhost-user-proto/header";
import { type Message, MessageReader, type Refusal } from "@passt-ts/vhost-user-proto/message-reader";
import { decodeU64 } from "@passt-ts/vhost-user-proto/payload";
import { FRONT_END_REQUESTS, type FrontEndRequest } from "@passt-ts/vhost-user-proto/requests";

/** Lets the other side run, or time pass, once. */
export type Pump = () => void;

/** A back-end that does not answer in this time has lost a message. */
const TIMEOUT_MS = 10_000;

/** Waits a millisecond: the pump for a back-end in another process. */
export function sleepPump(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** Calls `pump` until `condition` holds. @throws Error that names `what` after ten seconds. */
export function pumpUntil(pump: Pump, condition: () => boolean, what: string): void {
  const endMs = performance.now() + TIMEOUT_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
    pump();
  }
}

/** The front-end's end of a vhost-user socket: sends requests, reads replies. */
export class ControlSocket implements FrontEndPort, Disposable {
  readonly socket: OwnedFd;
  readonly #pump: Pump;
  readonly #messages: UnixMessages = new UnixMessages();
  readonly #reader: MessageReader = new MessageReader(FRONT_END_REQUESTS, "replies");
  readonly #bytes: Uint8Array = new Uint8Array(4096);
  readonly #fds: Int32Array = new Int32Array(8);
  /** Descriptors that came with replies and were not taken. */
  readonly #received: number[] = [];

  constructor(socket: OwnedFd, pump: Pump) {
    this.socket = socket;
    this.#pump = pump;
  }

  /** Sends bytes with descriptors, which stay the caller's. @throws Error when the socket does not take them. */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    const sent = this.#messages.send(this.socket.fd, bytes, bytes.length, fds);
    if (sent !== bytes.length) throw new Error(`sendmsg returned ${sent}`);
  }

  /** One reply if it has arrived, null if not yet, "closed" when the back-end has closed the connection. */
  poll(): Message | Refusal | "closed" | null {
    for (;;) {
      const wanted = this.#reader.wantedBytes;
      const result = this.#messages.receive(this.socket.fd, this.#bytes, 0, wanted, this.#fds);
      if (result === -Errno.EAGAIN) return null;
      if (result <= 0) return "closed";
      this.#received.push(...this.#fds.subarray(0, this.#messages.fdCount));
      const read = this.#reader.feed(this.#bytes.subarray(0, result));
      if (read !== null) return read;
    }
  }

  /** Waits for the next reply. @throws Error when there is none, or the connection is closed. */
  receive(what = "a reply"): Message | Refusal {
    let read: ReturnType<ControlSocket["poll"]> = null;
    const arrived = (): boolean => {
      read = this.poll();
      return read !== null;
    };
    pumpUntil(this.#pump, arrived, what);
    if (read === null || read === "closed") throw new Error(`closed instead of ${what}`);
    return read;
  }

  takeFd(): number {
    return this.#received.pop() ?? -1;
  }

  /** Sends a request and waits for its reply. @throws Error when there is none, or the connection is closed. */
  ask(request: Uint8Array, fds: readonly number[] = []): Uint8Array {
    this.send(request, fds);
    const number = decodeHeader(request.subarray(0, HEADER_BYTES)).request as FrontEndRequest;
    const name = FRONT_END_REQUESTS.get(number)?.name ?? `request ${number}`;
    return replyPayload(number, this.receive(`a reply to ${name}`));
  }

  /** Sends a request whose need_reply flag is set and returns what it is answered: 0n for success. */
  acknowledged(request: Uint8Array, fds: readonly number[] = []): bigint {
    if ((decodeHeader(request).flags & HeaderFlag.needReply) === 0) throw new Error("need_reply is not set");
    return decodeU64(this.ask(request, fds));
  }

  /** Waits until the back-end has closed the connection. */
  expectClosed(): void {
    pumpUntil(this.#pump, () => this.poll() === "closed", "the end of the connection");
  }

  close(): void {
    for (const fd of this.#received.splice(0)) closeFd(fd);
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
