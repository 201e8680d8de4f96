import type { Iov } from "@passt-ts/iov/iov";
import type { EventLoop } from "@passt-ts/linux/event-loop";
import { openSocket, shutdownSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { isIpv4Mapped } from "@passt-ts/linux/socket-address";
import {
  AF_INET,
  AF_INET6,
  MSG_PEEK,
  SHUT_WR,
  SO_KEEPALIVE,
  SO_OOBINLINE,
  SOCK_STREAM,
  SOL_SOCKET,
  SOL_TCP,
  TCP_NODELAY,
} from "@passt-ts/linux/socket-constants";
import { SocketMemory } from "@passt-ts/linux/socket-memory";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { StreamIo } from "@passt-ts/linux/stream-io";
import { Errno } from "@passt-ts/linux/system-error";
import { TcpInfo, TcpState } from "@passt-ts/linux/tcp-info";
import type { SendBuffer, TcpSocketPort } from "@passt-ts/tcp-vu/socket-port";
import type { Outbound } from "./outbound.ts";
import { SocketEvents, type SocketReady } from "./socket-events.ts";

export interface TcpSocketsOptions {
  readonly loop: EventLoop;
  readonly ready: SocketReady;
  /** Use SO_PEEK_OFF where the kernel has it. */
  readonly peekOffset: boolean;
  /** The way out of the sockets. */
  readonly outbound: Outbound;
}

/** The kernel's TCP sockets for the TCP engine. */
export class TcpSockets implements TcpSocketPort {
  readonly peekOffset: boolean;
  readonly #events: SocketEvents;
  readonly #outbound: Outbound;
  readonly #io: StreamIo = new StreamIo();
  readonly #options: SocketOptions = new SocketOptions();
  readonly #memory: SocketMemory = new SocketMemory();
  readonly #info: TcpInfo = new TcpInfo();

  constructor(options: TcpSocketsOptions) {
    this.#events = new SocketEvents(options.loop, options.ready);
    this.#outbound = options.outbound;
    this.peekOffset = options.peekOffset && kernelKeepsPeekOffset(this.#options);
  }

  connect(flow: number, address: Uint32Array, port: number): number {
    const socket = openSocket(isIpv4Mapped(address) ? AF_INET : AF_INET6, SOCK_STREAM);
    if (socket < 0) return socket;
    let result = this.#outbound.connectStream(socket, address, port);
    if (result === -Errno.EINPROGRESS) result = 0;
    if (result === 0) result = this.adopt(flow, socket);
    if (result < 0) closeFd(socket);
    return result < 0 ? result : socket;
  }

  adopt(flow: number, socket: number): number {
    // The guest's stack has decided how to cut its stream; holding small segments back would add its delay to ours.
    this.#options.set(socket, SOL_TCP, TCP_NODELAY, 1);
    this.#options.set(socket, SOL_SOCKET, SO_OOBINLINE, 1);
    this.#options.set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (this.peekOffset) this.#options.setPeekOffset(socket, 0);
    return this.#events.addStream(socket, flow);
  }

  connectError(socket: number): number {
    const error = this.#options.takeError(socket);
    if (error < 0) return error;
    const result = this.#options.tcpInfo(socket, this.#info);
    if (result < 0) return result;
    const { state } = this.#info;
    if (state === TcpState.synSent) return -Errno.EINPROGRESS;
    return state === TcpState.close ? -Errno.ECONNRESET : 0;
  }

  send(socket: number, iov: Iov, offset: number, lengthBytes: number): number {
    return this.#io.send(socket, iov, offset, lengthBytes);
  }

  peek(socket: number, iov: Iov, offset: number, lengthBytes: number, skipBytes: number): number {
    return this.peekOffset
      ? this.#io.receive(socket, iov, offset, lengthBytes, MSG_PEEK)
      : this.#io.receiveBehind(socket, skipBytes, iov, offset, lengthBytes, MSG_PEEK);
  }

  setPeekOffset(socket: number, offsetBytes: number): number {
    return this.#options.setPeekOffset(socket, offsetBytes);
  }

  consume(socket: number, lengthBytes: number): number {
    return this.#io.consume(socket, lengthBytes);
  }

  shutdownWrite(socket: number): number {
    return shutdownSocket(socket, SHUT_WR);
  }

  close(socket: number): void {
    this.#events.remove(socket);
    closeFd(socket);
  }

  reset(socket: number): void {
    this.#events.remove(socket);
    this.#options.closeWithReset(socket);
  }

  unacknowledged(socket: number): number {
    return this.#options.unacknowledged(socket);
  }

  sendBuffer(socket: number, out: SendBuffer): number {
    const result = this.#memory.read(socket);
    if (result < 0) return result;
    out.sizeBytes = this.#memory.sendBufferBytes;
    out.queuedBytes = this.#memory.sendQueuedBytes;
    return 0;
  }

  armWritable(socket: number): number {
    return this.#memory.isWritable(socket) ? 1 : 0;
  }

  /** Frees the discard area; the sockets are the engine's to close. */
  dispose(): void {
    this.#io.close();
  }
}

/** Whether TCP sockets of both families know SO_PEEK_OFF: IPv4 since Linux 6.9, IPv6 since 6.10. */
function kernelKeepsPeekOffset(options: SocketOptions): boolean {
  for (const family of [AF_INET, AF_INET6]) {
    const socket = openSocket(family, SOCK_STREAM);
    if (socket < 0) continue;
    const result = options.setPeekOffset(socket, 0);
    closeFd(socket);
    if (result < 0) return false;
  }
  return true;
}
