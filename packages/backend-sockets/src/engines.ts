import { AddressMap } from "@passt-ts/address-map/address-map";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { EchoEngine } from "@passt-ts/icmp-vu/echo-engine";
import { ECHO_SCRATCH_BYTES, slotBytesFor as echoSlotBytesFor } from "@passt-ts/icmp-vu/echo-options";
import { IpReassembly, reassemblyBytesFor } from "@passt-ts/ip-reassembly/ip-reassembly";
import { closeFd } from "@passt-ts/linux/owned-fd";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { TcpEngine } from "@passt-ts/tcp-vu/engine";
import { SCRATCH_BYTES as TCP_SCRATCH_BYTES } from "@passt-ts/tcp-vu/segment-builder";
import { UdpEngine } from "@passt-ts/udp-vu/udp-engine";
import { UDP_SCRATCH_BYTES, slotBytesFor as udpSlotBytesFor } from "@passt-ts/udp-vu/udp-options";
import { EchoSockets } from "./echo-sockets.ts";
import type { LinkConfiguration } from "./link-configuration.ts";
import { addressMappingOf, changesWay, linkSettingsOf, outboundSettingsOf } from "./link-mapping.ts";
import { LinkServices, SERVICE_SCRATCH_BYTES } from "./link-services.ts";
import { type ForwardSocket, prepareUdpListener, TcpListeners } from "./listeners.ts";
import { Outbound } from "./outbound.ts";
import { RefusedFlows } from "./refused-flows.ts";
import type { SocketBackendOptions } from "./socket-backend-options.ts";
import { SocketEvent, SocketEvents } from "./socket-events.ts";
import { TcpSockets } from "./tcp-sockets.ts";
import { UdpSockets } from "./udp-sockets.ts";

const UDP_SLOTS = 32;
const ECHO_SLOTS = 8;
/** Datagrams in fragments at once. */
const REASSEMBLY_SLOTS = 32;
/** Of TCP, and of UDP. Room that was never used costs no resident memory. */
const FLOW_CAPACITY_DEFAULT = 1 << 17;
const ECHO_FLOW_CAPACITY = 4096;
/** Bounds our segments when the guest is told no MTU: what it takes then only its own MSS says. */
const MTU_UNTOLD = 65520;

/** Places in the scratch, from the offset given. */
const SERVICE_AT = 0;
const TCP_AT: number = SERVICE_AT + SERVICE_SCRATCH_BYTES;
const UDP_AT: number = TCP_AT + TCP_SCRATCH_BYTES;
const ECHO_AT: number = UDP_AT + UDP_SCRATCH_BYTES;
const UDP_SLOTS_AT: number = ECHO_AT + ECHO_SCRATCH_BYTES;
const ECHO_SLOTS_AT: number = UDP_SLOTS_AT + udpSlotBytesFor(UDP_SLOTS);
const REASSEMBLY_AT: number = ECHO_SLOTS_AT + echoSlotBytesFor(ECHO_SLOTS);

/** Bytes of scratch that the engines need together. */
export const ENGINE_SCRATCH_BYTES: number = REASSEMBLY_AT + reassemblyBytesFor(REASSEMBLY_SLOTS);

export interface EnginesOptions extends SocketBackendOptions {
  readonly sink: RxSink;
  readonly guest: GuestIdentity;
  /** {@link ENGINE_SCRATCH_BYTES} bytes that the engines own. */
  readonly scratchWindow: number;
  readonly scratchOffset: number;
}

/** The protocol engines of one guest, each with its sockets, and the services on its link. */
export class Engines {
  readonly services: LinkServices;
  readonly tcp: TcpEngine;
  readonly udp: UdpEngine;
  readonly icmp: EchoEngine;
  readonly listeners: TcpListeners;
  readonly reassembly: IpReassembly;
  readonly #addressMap: AddressMap;
  readonly #outbound: Outbound;
  readonly #startSeconds: number;
  readonly #sink: RxSink;
  readonly #tcpSockets: TcpSockets;
  readonly #udpForwards: readonly ForwardSocket[];
  readonly #udpListenerEvents: SocketEvents;
  readonly #clock: () => number;
  readonly #refusedFlows: RefusedFlows;
  #link: LinkConfiguration;
  #wantedRoom = false;

  constructor(options: EnginesOptions) {
    const { loop, sink, link, guest, windows, scratchWindow, scratchOffset, clock } = options;
    const addressMap = new AddressMap({ ...addressMappingOf(link), guest });
    const outbound = new Outbound(outboundSettingsOf(link));
    const shared = { windows, sink, addressMap, guest, scratchWindow, nowMs: clock() };
    const flowCapacity = options.flowCapacity ?? FLOW_CAPACITY_DEFAULT;
    this.#link = link;
    this.#addressMap = addressMap;
    this.#outbound = outbound;
    this.#startSeconds = options.startSeconds;
    this.#sink = sink;
    this.#clock = clock;
    const serviceOptions = { ...options, scratchOffset: scratchOffset + SERVICE_AT };
    this.services = new LinkServices(linkSettingsOf(link, options.startSeconds), serviceOptions);
    this.reassembly = new IpReassembly({
      windows,
      window: scratchWindow,
      offset: scratchOffset + REASSEMBLY_AT,
      slotCount: REASSEMBLY_SLOTS,
    });
    this.#tcpSockets = new TcpSockets({
      loop,
      outbound,
      peekOffset: options.peekOffset ?? true,
      ready: (flow, events) => this.tcp.socketReady(flow, events, clock()),
    });
    this.tcp = new TcpEngine({
      ...shared,
      sockets: this.#tcpSockets,
      scratchOffset: scratchOffset + TCP_AT,
      secret: secretFrom(options.random, 8),
      capacity: flowCapacity,
      mtu: link.mtu === 0 ? MTU_UNTOLD : link.mtu,
      ...options.timers?.tcp,
    });
    this.udp = new UdpEngine({
      ...shared,
      port: new UdpSockets({
        windows,
        loop,
        outbound,
        ready: (flow, events) => this.udp.socketReady(flow, events, clock()),
      }),
      scratchOffset: scratchOffset + UDP_AT,
      slotWindow: scratchWindow,
      slotOffset: scratchOffset + UDP_SLOTS_AT,
      slotCount: UDP_SLOTS,
      secret: secretFrom(options.random, 4),
      flowCapacity,
      listenerCapacity: options.forwards.length,
      ...options.timers?.udp,
    });
    this.icmp = new EchoEngine({
      ...shared,
      port: new EchoSockets({
        windows,
        loop,
        outbound,
        ready: (flow, events) => this.icmp.socketReady(flow, events, clock()),
      }),
      scratchOffset: scratchOffset + ECHO_AT,
      slotWindow: scratchWindow,
      slotOffset: scratchOffset + ECHO_SLOTS_AT,
      slotCount: ECHO_SLOTS,
      secret: secretFrom(options.random, 4),
      flowCapacity: ECHO_FLOW_CAPACITY,
      warn: options.warn,
    });
    this.#refusedFlows = new RefusedFlows(this, options.warn);
    this.listeners = new TcpListeners(loop, {
      isReady: () => sink.ready,
      accepted: (socket, peer, peerPort, guestPort, guestAddress) =>
        this.tcp.accepted(socket, peer, peerPort, guestPort, clock(), guestAddress),
    });
    this.#udpListenerEvents = new SocketEvents(loop, (listener, events) =>
      this.udp.listenerReady(listener, events, clock()),
    );
    this.#udpForwards = options.forwards.filter((forward) => forward.protocol === "udp");
    this.#listen(options.forwards);
  }

  /** Whether the sockets of connections skip by themselves what was peeked at (SO_PEEK_OFF). */
  get peekOffset(): boolean {
    return this.#tcpSockets.peekOffset;
  }

  /** When {@link Engines.turn} is to be called at the latest though nothing happened, or Infinity. */
  get deadlineMs(): number {
    return Math.min(
      this.services.deadlineMs,
      this.tcp.deadlineMs,
      this.udp.deadlineMs,
      this.icmp.deadlineMs,
      this.listeners.deadlineMs,
      this.reassembly.deadlineMs,
    );
  }

  /** The last frame of a batch was given to the engines: their sockets get what was collected. */
  endBatch(nowMs: number): void {
    this.tcp.endBatch(nowMs);
    this.udp.endBatch(nowMs);
  }

  /** Does what is due in each engine. Returns true when one of them wants another turn at once. */
  turn(nowMs: number): boolean {
    this.services.turn(nowMs);
    this.listeners.turn(nowMs);
    this.reassembly.expire(nowMs, this.#sink);
    this.#refusedFlows.turn(nowMs);
    let more = this.tcp.turn(nowMs);
    if (this.udp.turn(nowMs)) more = true;
    if (this.icmp.turn(nowMs)) more = true;
    const waiting =
      this.services.waitsForRoom || this.tcp.waitsForRoom || this.udp.waitsForRoom || this.icmp.waitsForRoom;
    // Asked anew each turn: with EVENT_IDX the driver is told one index at which to kick, and it is behind us by now.
    if (waiting && this.#sink.wantRoom(true)) more = true;
    else if (!waiting && this.#wantedRoom) this.#sink.wantRoom(false);
    this.#wantedRoom = waiting;
    return more;
  }

  /** The guest is a new one. */
  reset(nowMs: number): void {
    this.tcp.reset(nowMs);
    this.udp.reset(nowMs);
    this.icmp.reset(nowMs);
    this.reassembly.reset();
    this.services.reset(nowMs);
  }

  /**
   * Goes by another link from now on. Connections stay as they are; flows of datagrams end when they may have to take
   * another way, so that the guest's next one opens a socket that does.
   *
   * @throws RangeError, DomainNameError when something cannot be put into a message; nothing is changed then.
   */
  configure(link: LinkConfiguration, nowMs: number): void {
    this.services.configure(linkSettingsOf(link, this.#startSeconds), nowMs);
    const isRerouted = changesWay(this.#link, link);
    this.#link = link;
    if (!isRerouted) return;
    this.#addressMap.configure(addressMappingOf(link));
    this.#outbound.configure(outboundSettingsOf(link));
    this.udp.reset(nowMs);
    this.icmp.reset(nowMs);
  }

  close(): void {
    this.listeners.close();
    this.tcp.reset(this.#clock());
    this.udp.close();
    this.icmp.close();
    for (const { fd } of this.#udpForwards) {
      this.#udpListenerEvents.remove(fd);
      closeFd(fd);
    }
    this.#tcpSockets.dispose();
  }

  #listen(forwards: readonly ForwardSocket[]): void {
    for (const forward of forwards) {
      if (forward.protocol === "tcp") {
        this.listeners.add(forward);
        continue;
      }
      prepareUdpListener(forward);
      const listener = this.udp.addListener(forward.fd, forward.targetPort, forward.targetAddress ?? null);
      const result = this.#udpListenerEvents.addDatagram(forward.fd, listener);
      if (result < 0) throw new Error(`epoll refused a UDP socket: errno ${-result}`);
      this.udp.listenerReady(listener, SocketEvent.readable, this.#clock());
    }
  }
}

/** Random words: keys of hashes that a guest must not foresee. */
function secretFrom(random: () => number, words: number): Uint32Array {
  return Uint32Array.from({ length: words }, () => random() * 0x1_0000_0000);
}
