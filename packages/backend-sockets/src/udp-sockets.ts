import type { WindowTable } from "@passt-ts/iov/windows";
import { DatagramReceiveBatch } from "@passt-ts/linux/datagram-receive-batch";
import type { EventLoop } from "@passt-ts/linux/event-loop";
import { openSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { isIpv4Mapped } from "@passt-ts/linux/socket-address";
import {
  AF_INET,
  AF_INET6,
  IP_RECVERR,
  IP_TTL,
  IPV6_MULTICAST_HOPS,
  IPV6_RECVERR,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  SO_RCVBUF,
  SOCK_DGRAM,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import type { DatagramBatch } from "@passt-ts/udp-vu/datagram-batch";
import { type DatagramSlots, SLOT_BYTES } from "@passt-ts/udp-vu/datagram-slots";
import type { SocketError } from "@passt-ts/udp-vu/socket-error";
import type { UdpSocketPort } from "@passt-ts/udp-vu/socket-port";
import { DatagramSender } from "./datagram-sender.ts";
import type { Outbound } from "./outbound.ts";
import { SocketErrors } from "./socket-errors.ts";
import { SocketEvents, type SocketReady } from "./socket-events.ts";

const IP_MULTICAST_TTL = 33;

export interface UdpSocketsOptions {
  readonly windows: WindowTable;
  readonly loop: EventLoop;
  readonly ready: SocketReady;
  /** The way out of the sockets. */
  readonly outbound: Outbound;
}

/**
 * Bytes to ask for as receive buffer: the kernel grants at most net.core.rmem_max. With its default, 300 small datagrams
 * that come while we are busy fill it.
 */
export const RECEIVE_BUFFER_BYTES: number = 4 * 1024 * 1024;

/** The kernel's UDP sockets for the UDP engine. */
export class UdpSockets implements UdpSocketPort {
  readonly #events: SocketEvents;
  readonly #outbound: Outbound;
  readonly #options: SocketOptions = new SocketOptions();
  readonly #sender: DatagramSender = new DatagramSender();
  readonly #errors: SocketErrors;
  #receive: DatagramReceiveBatch | null = null;

  constructor(options: UdpSocketsOptions) {
    this.#events = new SocketEvents(options.loop, options.ready);
    this.#outbound = options.outbound;
    this.#errors = new SocketErrors(options.windows);
  }

  open(flow: number, address: Uint32Array, port: number, preferredLocalPort: number): number {
    const v4 = isIpv4Mapped(address);
    const socket = openSocket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM);
    if (socket < 0) return socket;
    this.#sender.opened(socket);
    this.#options.set(socket, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    this.#options.set(socket, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
    // One for both families would want the port of the guest's flow in IPv4 as well.
    if (!v4) this.#options.set(socket, SOL_IPV6, IPV6_V6ONLY, 1);
    // Without it each datagram takes a slot of its own: no reason to fail.
    this.#options.set(socket, SOL_UDP, UDP_GRO, 1);
    let result = this.#outbound.connectDatagram(socket, address, port, preferredLocalPort);
    if (result === 0) result = this.#events.addDatagram(socket, flow);
    if (result < 0) closeFd(socket);
    return result < 0 ? result : socket;
  }

  sendBatch(socket: number, batch: DatagramBatch, from: number): number {
    return this.#sender.send(socket, batch, from);
  }

  receiveBatch(socket: number, slots: DatagramSlots): number {
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
      slots.segmentBytes[i] = batch.segmentBytes(i);
      slots.truncated[i] = batch.isTruncated(i) ? 1 : 0;
      batch.source(i, slots.address, 4 * i);
      slots.port[i] = batch.sourcePort(i);
      slots.scope[i] = batch.sourceScopeId(i);
      if (!batch.destination(i, slots.localAddress, 4 * i)) slots.localAddress.fill(0, 4 * i, 4 * i + 4);
    }
    return count;
  }

  takeError(socket: number, error: SocketError): number {
    const result = this.#errors.take(socket, error);
    if (result !== 1) return result;
    error.destination.set(this.#errors.queue.destination);
    error.destinationPort = this.#errors.queue.destinationPort;
    return 1;
  }

  setHopLimit(socket: number, ipVersion: 4 | 6, multicast: boolean, hopLimit: number): number {
    if (ipVersion === 4) return this.#options.set(socket, SOL_IP, multicast ? IP_MULTICAST_TTL : IP_TTL, hopLimit);
    return this.#options.set(socket, SOL_IPV6, multicast ? IPV6_MULTICAST_HOPS : IPV6_UNICAST_HOPS, hopLimit);
  }

  close(socket: number): void {
    this.#events.remove(socket);
    closeFd(socket);
  }
}
