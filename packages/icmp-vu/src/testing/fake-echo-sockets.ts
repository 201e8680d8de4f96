import type { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { type EchoSlots, SLOT_BYTES } from "../echo-slots.ts";
import type { SocketError } from "../socket-error.ts";
import { type EchoSocketPort, Errno } from "../socket-port.ts";

/** An open ping socket as a test sees it. */
export interface FakePingSocket {
  readonly socket: number;
  readonly flow: number;
  readonly ipVersion: number;
  readonly address: Uint32Array;
}

/** One message that waits in a socket, from its ICMP header on. */
export interface WaitingMessage {
  readonly bytes: Uint8Array;
  readonly address?: Uint32Array;
  readonly truncated?: boolean;
}

/** One entry of an error queue. */
export interface WaitingError {
  readonly errno: number;
  readonly origin: number;
  readonly type: number;
  readonly code: number;
  readonly offender?: Uint32Array;
  readonly data?: Uint8Array;
}

/** An {@link EchoSocketPort} without a kernel: tests see what was asked of it and say what it answers. */
export class FakeEchoSockets implements EchoSocketPort {
  readonly opened: FakePingSocket[] = [];
  readonly closed: number[] = [];
  readonly sent: { readonly socket: number; readonly bytes: Uint8Array }[] = [];
  readonly hopLimits: { socket: number; ipVersion: number; hopLimit: number }[] = [];
  /** What the next calls of open, send and receiveBatch return instead. */
  readonly openResults: number[] = [];
  readonly sendResults: number[] = [];
  readonly receiveResults: number[] = [];
  receiveCalls = 0;
  readonly #windows: WindowTable;
  readonly #waiting: Map<number, WaitingMessage[]> = new Map();
  readonly #errors: Map<number, WaitingError[]> = new Map();
  #nextSocket = 100;

  constructor(windows: WindowTable) {
    this.#windows = windows;
  }

  /** The identifier that the fake kernel gives a socket. */
  identifier(socket: number): number {
    return 0xc000 + socket;
  }

  /** Puts a message into a socket. */
  arrive(socket: number, message: WaitingMessage): void {
    const queue = this.#waiting.get(socket);
    if (queue === undefined) this.#waiting.set(socket, [message]);
    else queue.push(message);
  }

  /** Answers request `index` of {@link sent} as the peer would; returns the reply. */
  answer(index: number, address?: Uint32Array): Uint8Array {
    const { socket, bytes } = this.sent[index];
    const reply = bytes.slice();
    reply[0] = reply[0] === 8 ? 0 : 129;
    new DataView(reply.buffer).setUint16(4, this.identifier(socket));
    this.arrive(socket, address === undefined ? { bytes: reply } : { bytes: reply, address });
    return reply;
  }

  /** Puts an entry into a socket's error queue. */
  fail(socket: number, error: WaitingError): void {
    const queue = this.#errors.get(socket);
    if (queue === undefined) this.#errors.set(socket, [error]);
    else queue.push(error);
  }

  open(flow: number, ipVersion: 4 | 6, address: Uint32Array): number {
    const result = this.openResults.shift();
    if (result !== undefined) return result;
    const socket = this.#nextSocket++;
    this.opened.push({ socket, flow, ipVersion, address: address.slice() });
    return socket;
  }

  send(socket: number, iov: Iov, lengthBytes: number): number {
    const result = this.sendResults.shift();
    if (result !== undefined) return result;
    if (iov.count > 1024) return -90;
    const bytes = new Uint8Array(lengthBytes);
    const window = this.#windows.add(bytes);
    const copied = gather(iov, 0, window, 0, lengthBytes);
    this.#windows.remove(window);
    if (copied !== lengthBytes) throw new Error(`the entries hold ${copied} of ${lengthBytes} bytes`);
    this.sent.push({ socket, bytes });
    return lengthBytes;
  }

  receiveBatch(socket: number, slots: EchoSlots): number {
    this.receiveCalls++;
    const result = this.receiveResults.shift();
    if (result !== undefined) return result;
    const queue = this.#waiting.get(socket) ?? [];
    const count = Math.min(queue.length, slots.capacity);
    if (count === 0) return -Errno.EAGAIN;
    for (let i = 0; i < count; i++) {
      const message = queue.shift() as WaitingMessage;
      slots.windows.bytes[slots.window].set(message.bytes.subarray(0, SLOT_BYTES), slots.slotAt(i));
      slots.lengthBytes[i] = message.bytes.length;
      slots.truncated[i] = message.truncated === true ? 1 : 0;
      slots.address.set(message.address ?? new Uint32Array(4), 4 * i);
    }
    return count;
  }

  takeError(socket: number, error: SocketError): number {
    const next = this.#errors.get(socket)?.shift();
    if (next === undefined) return 0;
    error.errno = next.errno;
    error.origin = next.origin;
    error.type = next.type;
    error.code = next.code;
    error.information = 0;
    error.offender.set(next.offender ?? new Uint32Array(4));
    const data = (next.data ?? new Uint8Array(0)).subarray(0, error.dataCapacity);
    this.#windows.bytes[error.dataWindow].set(data, error.dataOffset);
    error.dataLength = data.length;
    return 1;
  }

  setHopLimit(socket: number, ipVersion: 4 | 6, hopLimit: number): number {
    this.hopLimits.push({ socket, ipVersion, hopLimit });
    return 0;
  }

  close(socket: number): void {
    this.closed.push(socket);
  }
}
