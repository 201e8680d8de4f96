/** The other end of a back-end's sockets in tests: real sockets of this process on the loopback interface. */
import { ipv4Words } from "@passt-ts/address-map/address";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramReceiveBatch } from "@passt-ts/linux/datagram-receive-batch";
import { DatagramSendBatch } from "@passt-ts/linux/datagram-send-batch";
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  listenSocket,
  localAddress,
  openSocket,
  shutdownSocket,
} from "@passt-ts/linux/inet-socket";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { isIpv4Mapped, SocketAddress } from "@passt-ts/linux/socket-address";
import {
  AF_INET,
  AF_INET6,
  IP_RECVTTL,
  IPV6_RECVHOPLIMIT,
  SHUT_WR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_IP,
  SOL_IPV6,
} from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { StreamIo } from "@passt-ts/linux/stream-io";
import { Errno, errnoName } from "@passt-ts/linux/system-error";

/** 127.0.0.1 and ::1, as words. */
export const LOOPBACK4: Uint32Array = ipv4Words(0x7f000001);
export const LOOPBACK6: Uint32Array = Uint32Array.of(0, 0, 0, 1);

const BUFFER_BYTES = 65536;

function ok(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(result)}`);
  return result;
}

/** A bound socket whose owner is the caller; with TCP it listens. `port` 0: any. */
export function boundSocket(type: "tcp" | "udp", address: Uint32Array = LOOPBACK4, port = 0): number {
  const stream = type === "tcp";
  const fd = ok(openSocket(isIpv4Mapped(address) ? AF_INET : AF_INET6, stream ? SOCK_STREAM : SOCK_DGRAM), "socket");
  ok(bindSocket(fd, new SocketAddress().set(address, port)), "bind");
  if (stream) ok(listenSocket(fd, 16), "listen");
  return fd;
}

/** The port that a socket is bound to. */
export function portOf(fd: number): number {
  const local = new SocketAddress();
  ok(localAddress(fd, local), "getsockname");
  return local.port;
}

/** A port of the loopback address that nobody has: it was bound a moment ago. */
export function freePort(type: "tcp" | "udp", address: Uint32Array = LOOPBACK4): number {
  const fd = new OwnedFd(boundSocket(type, address));
  const port = portOf(fd.fd);
  fd.close();
  return port;
}

/** One datagram, and who sent it. */
export interface HostDatagram {
  readonly bytes: Uint8Array;
  readonly address: number[];
  readonly port: number;
}

/** Memory for system calls: one window of a table of its own. */
class CallBuffer {
  readonly windows: WindowTable = new WindowTable();
  readonly native: NativeBuffer = new NativeBuffer(BUFFER_BYTES);
  readonly window: number;
  readonly #pool: IovPool;

  constructor() {
    this.window = this.windows.add(this.native.bytes, this.native.address);
    this.#pool = new IovPool(this.windows, 1);
  }

  /** A list of the first `lengthBytes` bytes. */
  iov(lengthBytes: number): Iov {
    this.#pool.count = 0;
    this.#pool.append(this.window, 0, lengthBytes);
    return new Iov(this.#pool, 0, 1);
  }

  hold(bytes: ArrayLike<number>): Iov {
    this.native.bytes.set(bytes);
    return this.iov(bytes.length);
  }
}

/** A UDP socket on loopback. */
export class HostUdp implements Disposable {
  /** TTL or hop limit of the last datagram received. */
  hopLimit = 0;
  readonly socket: OwnedFd;
  readonly port: number;
  readonly #buffer: CallBuffer = new CallBuffer();
  readonly #receive: DatagramReceiveBatch;
  readonly #send: DatagramSendBatch = new DatagramSendBatch(1);

  constructor(address: Uint32Array = LOOPBACK4, port = 0) {
    this.socket = new OwnedFd(boundSocket("udp", address, port));
    this.port = portOf(this.socket.fd);
    const [level, name] = isIpv4Mapped(address) ? [SOL_IP, IP_RECVTTL] : [SOL_IPV6, IPV6_RECVHOPLIMIT];
    ok(new SocketOptions().set(this.socket.fd, level, name, 1), "setsockopt");
    const { windows, window } = this.#buffer;
    this.#receive = new DatagramReceiveBatch({ windows, window, offset: 0, slots: 1, slotBytes: BUFFER_BYTES });
  }

  /** The next datagram, or null. */
  receive(): HostDatagram | null {
    const batch = this.#receive;
    if (batch.receive(this.socket.fd) !== 1) return null;
    const address = new Uint32Array(4);
    batch.source(0, address);
    this.hopLimit = batch.hopLimit(0);
    const bytes = this.#buffer.native.bytes.slice(0, batch.length(0));
    return { bytes, address: [...address], port: batch.sourcePort(0) };
  }

  send(bytes: ArrayLike<number>, address: Uint32Array, port: number): void {
    this.#send.clear();
    this.#send.add(this.#buffer.hold(bytes), 0, bytes.length, new SocketAddress().set(address, port));
    ok(this.#send.send(this.socket.fd), "sendmmsg");
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

/** One end of a TCP connection on the host. */
export class HostStream implements Disposable {
  readonly socket: OwnedFd;
  readonly #buffer: CallBuffer = new CallBuffer();
  readonly #io: StreamIo = new StreamIo();
  /** Everything read so far. */
  readonly received: number[] = [];
  /** "end" after the peer's FIN, or the name of the error that ended it ("ECONNRESET"). */
  ending = "";

  constructor(fd: number) {
    this.socket = new OwnedFd(fd);
  }

  /** Begins to connect; refused at once is an error that {@link HostStream.read} finds too. */
  static connect(port: number, address: Uint32Array = LOOPBACK4): HostStream {
    const fd = ok(openSocket(isIpv4Mapped(address) ? AF_INET : AF_INET6, SOCK_STREAM), "socket");
    const result = connectSocket(fd, new SocketAddress().set(address, port));
    if (result < 0 && result !== -Errno.EINPROGRESS) ok(result, "connect");
    return new HostStream(fd);
  }

  get port(): number {
    return portOf(this.socket.fd);
  }

  /** Writes what the kernel takes; how much. `flags`: MSG_*. */
  write(bytes: ArrayLike<number>, flags = 0): number {
    let done = 0;
    while (done < bytes.length) {
      const part = Array.prototype.slice.call(bytes, done, done + BUFFER_BYTES) as number[];
      const result = this.#io.send(this.socket.fd, this.#buffer.hold(part), 0, part.length, flags);
      if (result === -Errno.EAGAIN) break;
      done += ok(result, "sendmsg");
    }
    return done;
  }

  /** Reads what has arrived. */
  read(): this {
    while (this.ending === "") {
      const result = this.#io.receive(this.socket.fd, this.#buffer.iov(BUFFER_BYTES), 0, BUFFER_BYTES);
      if (result === -Errno.EAGAIN) break;
      if (result === 0) this.ending = "end";
      else if (result < 0) this.ending = errnoName(result);
      else for (let i = 0; i < result; i++) this.received.push(this.#buffer.native.bytes[i]);
    }
    return this;
  }

  /** Ends our direction. */
  end(): void {
    ok(shutdownSocket(this.socket.fd, SHUT_WR), "shutdown");
  }

  /** Closes with a RST. */
  reset(): void {
    new SocketOptions().closeWithReset(this.socket.take());
  }

  [Symbol.dispose](): void {
    this.socket.close();
    this.#io.close();
  }
}

/** A TCP listener on loopback. */
export class HostListener implements Disposable {
  readonly socket: OwnedFd;
  readonly port: number;

  constructor(address: Uint32Array = LOOPBACK4, port = 0) {
    this.socket = new OwnedFd(boundSocket("tcp", address, port));
    this.port = portOf(this.socket.fd);
  }

  /** A connection that waits, or null. */
  accept(): HostStream | null {
    const fd = acceptSocket(this.socket.fd, new SocketAddress());
    return fd < 0 ? null : new HostStream(fd);
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}
