import type { Iov } from "@passt-ts/iov/iov";
import { gather, scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { type SendBuffer, SocketError, SocketEvent, type TcpSocketPort } from "../socket-port.ts";

/** One end of a fake connection, as the test sees it: what the engine did to it, and what the remote peer does. */
export class FakeSocket {
  readonly address: number[];
  readonly port: number;
  flow: number;
  connected = false;
  /** Pending error (negative), as SO_ERROR. */
  error = 0;
  /** Bytes the peer sent and the engine has not consumed. */
  queue: number[] = [];
  /** The peer has closed its direction. */
  eof = false;
  /** Everything the engine sent. */
  readonly sent: number[] = [];
  /** Size of the send buffer, and bytes of it in use. */
  sendBufferBytes: number = 1 << 20;
  queuedBytes = 0;
  /** Bytes sent that the peer's kernel has not acknowledged. */
  unacknowledgedBytes = 0;
  /** New data is taken from the send buffer and acknowledged at once. */
  drains = true;
  /** A peek returns at most so many bytes, a send takes at most so many. */
  peekBytesMax: number = Infinity;
  sendBytesMax: number = Infinity;
  peekOffset = 0;
  writeShut = false;
  state: "open" | "closed" | "reset" = "open";
  wantsWritable = false;
  peeks = 0;
  /** Looks at the send buffer. */
  looks = 0;
  sends = 0;

  constructor(flow: number, address: number[], port: number) {
    this.flow = flow;
    this.address = address;
    this.port = port;
  }
}

export interface FakeTcpSocketsOptions {
  readonly windows: WindowTable;
  readonly peekOffset?: boolean;
}

/**
 * An in-memory {@link TcpSocketPort}: deterministic, with buffers, short reads and errors that a test sets.
 *
 * Events are collected, edge-triggered as a kernel gives them; {@link FakeTcpSockets.takeEvents} hands them over.
 */
export class FakeTcpSockets implements TcpSocketPort {
  readonly peekOffset: boolean;
  readonly sockets: FakeSocket[] = [];
  /** What connect answers instead of a socket; 0: a socket. */
  connectResult = 0;
  adoptResult = 0;
  readonly #window: number;
  readonly #bytes: Uint8Array = new Uint8Array(1 << 21);
  readonly #events = new Map<number, number>();

  constructor(options: FakeTcpSocketsOptions) {
    this.peekOffset = options.peekOffset ?? true;
    this.#window = options.windows.add(this.#bytes);
  }

  /** The events since the last call, as [flow, events]. */
  takeEvents(): [number, number][] {
    const events = [...this.#events];
    this.#events.clear();
    return events;
  }

  /** The newest socket that the engine opened or adopted. */
  get last(): FakeSocket {
    return this.sockets[this.sockets.length - 1];
  }

  /** A connection that waits to be accepted; give its number to the engine. */
  incoming(): number {
    const socket = new FakeSocket(-1, [], 0);
    socket.connected = true;
    this.sockets.push(socket);
    return this.sockets.length - 1;
  }

  /** From now on a peek returns at most `bytes` bytes though more may wait, as it does in front of urgent data. */
  limitPeeks(socket: FakeSocket, bytes: number): void {
    socket.peekBytesMax = bytes;
    if (bytes !== Infinity) this.#tell(socket, SocketEvent.urgent);
  }

  /** The peer answers connect(): 0 is success. */
  complete(socket: FakeSocket, error = 0): void {
    socket.connected = error === 0;
    socket.error = error;
    this.#tell(socket, error === 0 ? SocketEvent.writable : SocketEvent.error | SocketEvent.hangUp);
  }

  /** The peer sends. */
  push(socket: FakeSocket, bytes: Iterable<number>): void {
    for (const byte of bytes) socket.queue.push(byte);
    this.#tell(socket, SocketEvent.readable);
  }

  /** The peer closes its direction. */
  end(socket: FakeSocket): void {
    socket.eof = true;
    this.#tell(socket, SocketEvent.readable | SocketEvent.hangUp);
  }

  /** The connection fails. */
  fail(socket: FakeSocket, error: number = SocketError.connectionReset): void {
    socket.error = error;
    this.#tell(socket, SocketEvent.error | SocketEvent.hangUp);
  }

  /** The peer takes `bytes` bytes out of the send buffer and acknowledges them. */
  drain(socket: FakeSocket, bytes: number = Infinity): void {
    socket.queuedBytes = Math.max(0, socket.queuedBytes - bytes);
    socket.unacknowledgedBytes = Math.max(0, socket.unacknowledgedBytes - bytes);
    if (!socket.wantsWritable || !this.#isWritable(socket)) return;
    socket.wantsWritable = false;
    this.#tell(socket, SocketEvent.writable);
  }

  connect(flow: number, address: Uint32Array, port: number): number {
    if (this.connectResult < 0) return this.connectResult;
    this.sockets.push(new FakeSocket(flow, [...address], port));
    return this.sockets.length - 1;
  }

  adopt(flow: number, socket: number): number {
    this.sockets[socket].flow = flow;
    return this.adoptResult;
  }

  connectError(socket: number): number {
    const { error, connected } = this.#open(socket);
    return error < 0 ? error : connected ? 0 : SocketError.inProgress;
  }

  send(number: number, iov: Iov, offset: number, lengthBytes: number): number {
    const socket = this.#open(number);
    socket.sends++;
    if (iov.count > 1024) return -90;
    if (socket.error < 0) return socket.error;
    if (socket.writeShut) return SocketError.brokenPipe;
    const room = socket.sendBufferBytes - socket.queuedBytes;
    const taken = Math.min(lengthBytes, room, socket.sendBytesMax);
    if (taken < lengthBytes) socket.wantsWritable = true;
    if (taken <= 0) return SocketError.again;
    if (gather(iov, offset, this.#window, 0, taken) !== taken)
      throw new Error("send: the list is shorter than its length");
    for (let i = 0; i < taken; i++) socket.sent.push(this.#bytes[i]);
    if (!socket.drains) {
      socket.queuedBytes += taken;
      socket.unacknowledgedBytes += taken;
    }
    return taken;
  }

  peek(number: number, iov: Iov, offset: number, lengthBytes: number, skipBytes: number): number {
    const socket = this.#open(number);
    socket.peeks++;
    if (iov.count > 1000) return -90;
    const from = this.peekOffset ? socket.peekOffset : skipBytes;
    if (from !== skipBytes) throw new Error(`peek: the offset is ${from}, the engine thinks ${skipBytes}`);
    const bytes = Math.min(lengthBytes, socket.queue.length - from, socket.peekBytesMax);
    if (bytes > 0) {
      for (let i = 0; i < bytes; i++) this.#bytes[i] = socket.queue[from + i];
      if (scatter(iov, offset, this.#window, 0, bytes) !== bytes)
        throw new Error("peek: the list is shorter than its length");
      socket.peekOffset += bytes;
      return bytes;
    }
    if (socket.error < 0) return socket.error;
    return socket.eof && (this.peekOffset || skipBytes === 0) ? 0 : SocketError.again;
  }

  setPeekOffset(number: number, offsetBytes: number): number {
    this.#open(number).peekOffset = offsetBytes;
    return 0;
  }

  consume(number: number, lengthBytes: number): number {
    const socket = this.#open(number);
    const bytes = Math.min(lengthBytes, socket.queue.length);
    socket.queue.splice(0, bytes);
    socket.peekOffset = Math.max(0, socket.peekOffset - bytes);
    return bytes;
  }

  shutdownWrite(socket: number): number {
    this.#open(socket).writeShut = true;
    return 0;
  }

  close(socket: number): void {
    this.#open(socket).state = "closed";
  }

  reset(socket: number): void {
    this.#open(socket).state = "reset";
  }

  unacknowledged(socket: number): number {
    return this.#open(socket).unacknowledgedBytes;
  }

  sendBuffer(number: number, out: SendBuffer): number {
    const socket = this.#open(number);
    socket.looks++;
    out.sizeBytes = socket.sendBufferBytes;
    out.queuedBytes = socket.queuedBytes;
    return 0;
  }

  armWritable(number: number): number {
    const socket = this.#open(number);
    if (this.#isWritable(socket)) return 1;
    socket.wantsWritable = true;
    return 0;
  }

  /** As Linux: writable from one third of the buffer free on. */
  #isWritable(socket: FakeSocket): boolean {
    return socket.sendBufferBytes - socket.queuedBytes >= socket.queuedBytes >>> 1;
  }

  #open(number: number): FakeSocket {
    const socket = this.sockets[number];
    if (socket === undefined || socket.state !== "open") throw new Error(`socket ${number} is not open`);
    return socket;
  }

  #tell(socket: FakeSocket, events: number): void {
    if (socket.flow < 0 || socket.state !== "open") return;
    this.#events.set(socket.flow, (this.#events.get(socket.flow) ?? 0) | events);
  }
}
