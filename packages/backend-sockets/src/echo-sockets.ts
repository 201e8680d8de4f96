import type { EchoSlots } from "@passt-ts/icmp-vu/echo-slots";
import { SLOT_BYTES } from "@passt-ts/icmp-vu/echo-slots";
import type { SocketError } from "@passt-ts/icmp-vu/socket-error";
import type { EchoSocketPort } from "@passt-ts/icmp-vu/socket-port";
import type { Iov } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";
import { DatagramReceiveBatch } from "@passt-ts/linux/datagram-receive-batch";
import type { EventLoop } from "@passt-ts/linux/event-loop";
import { openSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import {
  AF_INET,
  AF_INET6,
  IP_RECVERR,
  IP_TTL,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPV6_RECVERR,
  IPV6_UNICAST_HOPS,
  SOCK_DGRAM,
  SOL_IP,
  SOL_IPV6,
} from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { StreamIo } from "@passt-ts/linux/stream-io";
import type { Outbound } from "./outbound.ts";
import { SocketErrors } from "./socket-errors.ts";
import { SocketEvents, type SocketReady } from "./socket-events.ts";

export interface EchoSocketsOptions {
  readonly windows: WindowTable;
  readonly loop: EventLoop;
  readonly ready: SocketReady;
  /** The way out of the sockets. */
  readonly outbound: Outbound;
}

/** The kernel's ping sockets (icmp(7)) for the echo engine. */
export class EchoSockets implements EchoSocketPort {
  readonly #events: SocketEvents;
  readonly #outbound: Outbound;
  readonly #options: SocketOptions = new SocketOptions();
  readonly #io: StreamIo = new StreamIo();
  readonly #errors: SocketErrors;
  #receive: DatagramReceiveBatch | null = null;

  constructor(options: EchoSocketsOptions) {
    this.#events = new SocketEvents(options.loop, options.ready);
    this.#outbound = options.outbound;
    this.#errors = new SocketErrors(options.windows);
  }

  open(flow: number, ipVersion: 4 | 6, address: Uint32Array): number {
    const v4 = ipVersion === 4;
    const socket = openSocket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    if (socket < 0) return socket;
    this.#options.set(socket, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
    // Connecting binds it as well, to an identifier that the kernel chooses.
    let result = this.#outbound.connectDatagram(socket, address, 0, 0);
    if (result === 0) result = this.#events.addDatagram(socket, flow);
    if (result < 0) closeFd(socket);
    return result < 0 ? result : socket;
  }

  send(socket: number, iov: Iov, lengthBytes: number): number {
    return this.#io.send(socket, iov, 0, lengthBytes);
  }

  receiveBatch(socket: number, slots: EchoSlots): number {
    this.#receive ??= new DatagramReceiveBatch({
      windows: slots.windows,
      window: slots.window,
      offset: slots.slotAt(0),
      slots: slots.capacity,
      slotBytes: SLOT_BYTES,
    });
    const batch = this.#receive;
    const count = batch.receive(socket);
    for (let i = 0; i < count; i++) {
      slots.lengthBytes[i] = batch.length(i);
      slots.truncated[i] = batch.isTruncated(i) ? 1 : 0;
      batch.source(i, slots.address, 4 * i);
    }
    return count;
  }

  takeError(socket: number, error: SocketError): number {
    return this.#errors.take(socket, error);
  }

  setHopLimit(socket: number, ipVersion: 4 | 6, hopLimit: number): number {
    if (ipVersion === 4) return this.#options.set(socket, SOL_IP, IP_TTL, hopLimit);
    return this.#options.set(socket, SOL_IPV6, IPV6_UNICAST_HOPS, hopLimit);
  }

  close(socket: number): void {
    this.#events.remove(socket);
    closeFd(socket);
  }
}
