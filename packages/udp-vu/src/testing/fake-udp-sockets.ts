import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { DatagramBatch } from "../datagram-batch.ts";
import { type DatagramSlots, SLOT_BYTES } from "../datagram-slots.ts";
import type { SocketError } from "../socket-error.ts";
import { Errno, type UdpSocketPort } from "../socket-port.ts";

/** One datagram that an engine sent. */
export interface SentDatagram {
  readonly socket: number;
  /** Which call of sendBatch took it, counted from 1. */
  readonly call: number;
  readonly bytes: Uint8Array;
  /** Null on a connected socket. */
  readonly to: { readonly address: Uint32Array; readonly port: number; readonly scope: number } | null;
  readonly localAddress: Uint32Array | null;
}

/** One datagram that waits in a socket. */
export interface WaitingDatagram {
  readonly bytes: Uint8Array;
  readonly address?: Uint32Array;
  readonly port?: number;
  readonly scope?: number;
  readonly localAddress?: Uint32Array;
  readonly truncated?: boolean;
  /** The kernel joined datagrams of so many bytes each. */
  readonly segmentBytes?: number;
}

/** One entry of an error queue. */
export interface WaitingError {
  readonly errno: number;
  readonly origin: number;
  readonly type: number;
  readonly code: number;
  readonly offender?: Uint32Array;
  readonly destination?: Uint32Array;
  readonly destinationPort?: number;
  readonly data?: Uint8Array;
}

/** An open socket as a test sees it. */
export interface FakeSocket {
  readonly socket: number;
  readonly flow: number;
  readonly address: Uint32Array;
  readonly port: number;
  readonly preferredLocalPort: number;
}

/** A {@link UdpSocketPort} without a kernel: tests see what was asked of it and say what it answers. */
export class FakeUdpSockets implements UdpSocketPort {
  readonly opened: FakeSocket[] = [];
  readonly closed: number[] = [];
  readonly sent: SentDatagram[] = [];
  readonly hopLimits: { socket: number; ipVersion: number; multicast: boolean; hopLimit: number }[] = [];
  /** What the next calls of open return instead of a socket. */
  readonly openResults: number[] = [];
  /** What the next calls of sendBatch return: negative numbers fail, others say how many datagrams go. */
  readonly sendResults: number[] = [];
  /** What the next calls of receiveBatch return instead of datagrams. */
  readonly receiveResults: number[] = [];
  sendCalls = 0;
  receiveCalls = 0;
  /** Called in each receive, before the slots are filled. */
  onReceive: () => void = () => {};
  readonly #windows: WindowTable;
  readonly #waiting: Map<number, WaitingDatagram[]> = new Map();
  readonly #errors: Map<number, WaitingError[]> = new Map();
  #nextSocket = 100;

  constructor(windows: WindowTable) {
    this.#windows = windows;
  }

  /** Puts a datagram into a socket. */
  arrive(socket: number, datagram: WaitingDatagram): void {
    const queue = this.#waiting.get(socket);
    if (queue === undefined) this.#waiting.set(socket, [datagram]);
    else queue.push(datagram);
  }

  /** Puts an entry into a socket's error queue. */
  fail(socket: number, error: WaitingError): void {
    const queue = this.#errors.get(socket);
    if (queue === undefined) this.#errors.set(socket, [error]);
    else queue.push(error);
  }

  /** Datagrams that nobody has received. */
  waiting(socket: number): number {
    return this.#waiting.get(socket)?.length ?? 0;
  }

  open(flow: number, address: Uint32Array, port: number, preferredLocalPort: number): number {
    const result = this.openResults.shift();
    if (result !== undefined) return result;
    const socket = this.#nextSocket++;
    this.opened.push({ socket, flow, address: address.slice(), port, preferredLocalPort });
    return socket;
  }

  sendBatch(socket: number, batch: DatagramBatch, from: number): number {
    this.sendCalls++;
    const result = this.sendResults.shift() ?? batch.count - from;
    for (let i = from; i < from + result; i++) {
      const iov = new Iov(batch.pool, batch.firstEntry[i], batch.entryCount[i]);
      this.sent.push({
        socket,
        call: this.sendCalls,
        bytes: this.#copyOut(iov, batch.lengthBytes[i]),
        to: batch.addressed
          ? { address: batch.address.slice(4 * i, 4 * i + 4), port: batch.port[i], scope: batch.scope[i] }
          : null,
        localAddress: batch.addressed ? batch.localAddress.slice(4 * i, 4 * i + 4) : null,
      });
    }
    return result;
  }

  receiveBatch(socket: number, slots: DatagramSlots): number {
    this.receiveCalls++;
    this.onReceive();
    const result = this.receiveResults.shift();
    if (result !== undefined) return result;
    const queue = this.#waiting.get(socket) ?? [];
    const count = Math.min(queue.length, slots.capacity);
    if (count === 0) return -Errno.EAGAIN;
    for (let i = 0; i < count; i++) {
      const datagram = queue.shift() as WaitingDatagram;
      const at = slots.slotAt(i);
      slots.windows.bytes[slots.window].set(datagram.bytes.subarray(0, SLOT_BYTES), at);
      slots.lengthBytes[i] = datagram.bytes.length;
      slots.segmentBytes[i] = datagram.segmentBytes ?? 0;
      slots.truncated[i] = datagram.truncated === true ? 1 : 0;
      slots.address.set(datagram.address ?? new Uint32Array(4), 4 * i);
      slots.port[i] = datagram.port ?? 0;
      slots.scope[i] = datagram.scope ?? 0;
      slots.localAddress.set(datagram.localAddress ?? new Uint32Array(4), 4 * i);
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
    error.destination.set(next.destination ?? new Uint32Array(4));
    error.destinationPort = next.destinationPort ?? 0;
    const data = (next.data ?? new Uint8Array(0)).subarray(0, error.dataCapacity);
    this.#windows.bytes[error.dataWindow].set(data, error.dataOffset);
    error.dataLength = data.length;
    return 1;
  }

  setHopLimit(socket: number, ipVersion: 4 | 6, multicast: boolean, hopLimit: number): number {
    this.hopLimits.push({ socket, ipVersion, multicast, hopLimit });
    return 0;
  }

  close(socket: number): void {
    this.closed.push(socket);
  }

  #copyOut(iov: Iov, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    const window = this.#windows.add(bytes);
    const copied = gather(iov, 0, window, 0, lengthBytes);
    this.#windows.remove(window);
    if (copied !== lengthBytes) throw new Error(`the entries hold ${copied} of ${lengthBytes} bytes`);
    return bytes;
  }
}
