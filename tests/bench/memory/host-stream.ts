// The host's end of a TCP connection, in the thread of the driver: what arrives is thrown away without a copy, what is sent are
// references to the same pages, few enough to stay in the processor's cache. It never waits.

import { ipv4Words } from "@passt-ts/address-map/address";
import { acceptSocket, bindSocket, listenSocket, localAddress, openSocket } from "@passt-ts/linux/inet-socket";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, SOCK_STREAM } from "@passt-ts/linux/socket-constants";
import { StreamIo } from "@passt-ts/linux/stream-io";
import { Errno, errnoName } from "@passt-ts/linux/system-error";

const chunkBytes = 1 << 18;
/** Taken at once at most. */
const sinkBytesMax = 1 << 20;
const loopback = 0x7f000001;

function ok(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(result)}`);
  return result;
}

export class HostStream implements Disposable {
  readonly port: number;
  readonly #listener: number;
  readonly #io = new StreamIo();
  /** What is sent again and again. */
  readonly #file = createMemoryFile("host-stream", chunkBytes);
  #fd = -1;
  receivedBytes = 0;
  sentBytes = 0;

  /** Listens at a port of the loopback address. */
  constructor() {
    this.#listener = ok(openSocket(AF_INET, SOCK_STREAM), "socket");
    const address = new SocketAddress();
    ok(bindSocket(this.#listener, address.set(ipv4Words(loopback), 0)), "bind");
    ok(listenSocket(this.#listener, 1), "listen");
    ok(localAddress(this.#listener, address), "getsockname");
    this.port = address.port;
  }

  /** Takes the connection if it is there. */
  accept(): boolean {
    if (this.#fd < 0) this.#fd = Math.max(acceptSocket(this.#listener, new SocketAddress()), -1);
    return this.#fd >= 0;
  }

  /** Throws away what has arrived; bytes. */
  sink(): number {
    const bytes = this.#io.consume(this.#fd, sinkBytesMax);
    if (bytes === -Errno.EAGAIN) return 0;
    if (bytes === 0) throw new Error("the connection has ended");
    this.receivedBytes += ok(bytes, "recv");
    return bytes;
  }

  /** Sends what the kernel takes; bytes. */
  feed(): number {
    const bytes = this.#io.sendFile(this.#fd, this.#file.fd, 0, chunkBytes);
    if (bytes === -Errno.EAGAIN) return 0;
    this.sentBytes += ok(bytes, "sendfile");
    return bytes;
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    closeFd(this.#listener);
    this.#io.close();
    this.#file.close();
  }
}
