/**
 * Trust: the guest writes every segment, and remote hosts decide what their sockets do. A segment is compared with the
 * state of its connection before it changes anything; the worst that a guest can do is to harm its own connections and
 * to fill the table, whose size is fixed. Nothing here throws because of a byte that came in.
 */

import { isIpv4Mapped } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { FlowKey } from "@passt-ts/flow/flow-key";
import { KeyedHash } from "@passt-ts/flow/keyed-hash";
import { type Iov, IovPool } from "@passt-ts/iov/iov";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import type { Packet } from "@passt-ts/wire/packet";
import { TcpFlag } from "@passt-ts/wire/tcp";
import { Acknowledger } from "./acknowledger.ts";
import { challenge } from "./challenge.ts";
import { type Connection, State } from "./connection.ts";
import { ConnectionStore, List } from "./connection-store.ts";
import { TCP_COUNTERS, TcpCounter } from "./counters.ts";
import { ErrorWriter } from "./error-writer.ts";
import { GuestAcknowledgment } from "./guest-acknowledgment.ts";
import { Handshake, isExactReset } from "./handshake.ts";
import { IDLE_TIMEOUT_MS, IdleWatch, KEEPALIVE_MS } from "./idle-watch.ts";
import { ReceivePath } from "./receive-path.ts";
import { Retransmission } from "./retransmission.ts";
import { Segment } from "./segment.ts";
import { SEGMENT_SCRATCH_BYTES, SegmentBuilder } from "./segment-builder.ts";
import { SendPath } from "./send-path.ts";
import { seqDiff } from "./sequence.ts";
import { SocketEvent, type TcpSocketPort } from "./socket-port.ts";
import { synWaitsMs } from "./syn-schedule.ts";
import { Teardown } from "./teardown.ts";

const PROTOCOL_TCP = 6;
/** The longest retransmission timeout, in ms. */
const RTO_MAX_MS = 120_000;
/** Duplicate acknowledgments after which a guest without SACK sends again what it lost. */
const FAST_RETRANSMIT_DUPLICATES = 3;

const READ_EVENTS: number = SocketEvent.readable | SocketEvent.hangUp | SocketEvent.urgent;

export interface TcpEngineOptions {
  readonly sink: RxSink;
  readonly sockets: TcpSocketPort;
  readonly addressMap: AddressMap;
  readonly guest: GuestIdentity;
  /** SCRATCH_BYTES bytes at `scratchOffset` of this window of the sink's table belong to the engine. */
  readonly scratchWindow: number;
  readonly scratchOffset: number;
  /** 8 random words: 4 for the flow table, 4 for initial sequence numbers. */
  readonly secret: Uint32Array;
  /** MTU of the guest's link; bounds the MSS that is offered and used. */
  readonly mtu: number;
  /** Monotonic time at the start. */
  readonly nowMs: number;
  /** Connections at once. Default 8192. */
  readonly capacity?: number;
  /** Payload that one flow sends before the next one has its turn. Default 256 KiB. */
  readonly burstBytes?: number;
  /** Payload after which {@link TcpEngine.turn} returns though more is ready. Default 4 MiB. */
  readonly turnBytes?: number;
  /** Silence of the guest after which it gets a keepalive, and of both sides after which the connection is reset. */
  readonly keepaliveMs?: number;
  readonly idleTimeoutMs?: number;
  /** net.ipv4.tcp_syn_linear_timeouts, tcp_syn_retries and tcp_rto_max_ms. Defaults 4, 6 and 120 s. */
  readonly synLinearTimeouts?: number;
  readonly synRetries?: number;
  readonly rtoMaxMs?: number;
  /** Payload entries, and segments with payload, that are collected before they are sent. Defaults 4096, 1024. */
  readonly batchEntries?: number;
  readonly batchSegments?: number;
}

/** TCP between the frames of a guest and sockets of the host. */
export class TcpEngine {
  /** Counted events; names and indices in TcpCounter. */
  readonly counters: Float64Array = new Float64Array(TCP_COUNTERS);
  readonly #sink: RxSink;
  readonly #port: TcpSocketPort;
  readonly #addressMap: AddressMap;
  readonly #store: ConnectionStore;
  readonly #handshake: Handshake;
  readonly #receivePath: ReceivePath;
  readonly #sendPath: SendPath;
  readonly #acknowledger: Acknowledger;
  readonly #guestAcknowledgment: GuestAcknowledgment;
  readonly #teardown: Teardown;
  readonly #retransmission: Retransmission;
  readonly #turnBytes: number;
  readonly #key: FlowKey = new FlowKey();
  readonly #segment: Segment = new Segment();
  readonly #peerShown: Uint32Array = new Uint32Array(4);
  readonly #guestWords: Uint32Array = new Uint32Array(4);

  constructor(options: TcpEngineOptions) {
    const { sink, sockets, secret, scratchWindow, scratchOffset, guest, addressMap, nowMs } = options;
    const { counters } = this;
    const store = new ConnectionStore(options.capacity ?? 8192, secret.slice(0, 4), nowMs);
    const { table } = store;
    const builder = new SegmentBuilder({ sink, scratchWindow, scratchOffset, guest, table, counters });
    const collected = new IovPool(sink.frames.pool.windows, options.batchEntries ?? 4096);
    const burstBytes = options.burstBytes ?? 256 * 1024;
    const hash = new KeyedHash(secret.slice(4, 8));
    this.#sink = sink;
    this.#port = sockets;
    this.#addressMap = addressMap;
    this.#store = store;
    this.#turnBytes = options.turnBytes ?? 4 * 1024 * 1024;
    const teardown = new Teardown(store, sockets, builder, counters);
    this.#teardown = teardown;
    const acknowledger = new Acknowledger(store, sockets, builder);
    const keepaliveMs = options.keepaliveMs ?? KEEPALIVE_MS;
    const idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    const idle = new IdleWatch(store, builder, teardown, counters, keepaliveMs, idleTimeoutMs);
    this.#acknowledger = acknowledger;
    this.#receivePath = new ReceivePath(store, sockets, teardown, counters, collected, options.batchSegments ?? 1024);
    this.#sendPath = new SendPath(store, sockets, sink, builder, teardown, counters, burstBytes);
    this.#guestAcknowledgment = new GuestAcknowledgment(store, sockets, this.#sendPath, counters);
    this.#handshake = new Handshake({
      store,
      port: sockets,
      builder,
      acknowledger,
      idle,
      teardown,
      errorWriter: new ErrorWriter(sink, guest, scratchWindow, scratchOffset + SEGMENT_SCRATCH_BYTES),
      addressMap,
      hash,
      mtu: options.mtu,
      synWaitsMs: synWaitsMs(options.synLinearTimeouts ?? 4, options.synRetries ?? 6),
      counters,
      nowMs,
    });
    this.#retransmission = new Retransmission(
      store,
      this.#handshake,
      this.#sendPath,
      acknowledger,
      idle,
      teardown,
      counters,
      options.rtoMaxMs ?? RTO_MAX_MS,
    );
  }

  /** Live connections. */
  get flowCount(): number {
    return this.#store.table.count;
  }

  /** When {@link TcpEngine.turn} must be called at the latest though nothing happened, or Infinity. */
  get deadlineMs(): number {
    return this.#store.deadlineMs;
  }

  /**
   * Takes one TCP segment from the guest. Its payload is collected in place: the entries of `frame` must stay valid
   * until {@link TcpEngine.endBatch} returns.
   *
   * @param packet what the headers of the frame say, parsed without a reason to drop it.
   * @param view where the headers were gathered to.
   * @param frame the whole frame; its Ethernet header begins at `frameOffset`.
   */
  input(packet: Packet, view: DataView, frame: Iov, frameOffset: number, nowMs: number): void {
    this.counters[TcpCounter.segmentsIn]++;
    const segment = this.#segment;
    if (!segment.parse(packet, view)) {
      this.counters[TcpCounter.malformed]++;
      return;
    }
    const key = this.#key;
    const { ipVersion, sourceAt, destinationAt } = packet;
    const { sourcePort, destinationPort } = segment;
    if (ipVersion === 4) key.setIpv4(PROTOCOL_TCP, view, sourceAt, destinationAt, sourcePort, destinationPort);
    else key.setIpv6(PROTOCOL_TCP, view, sourceAt, destinationAt, sourcePort, destinationPort);
    const flow = this.#store.table.find(key);
    if (flow === -1) {
      this.#handshake.answerUnknown(key, ipVersion, segment, view, nowMs);
      return;
    }
    const connection = this.#store.connections[flow];
    if (connection.state === State.resetting) return;
    if (connection.state !== State.established) {
      if (!this.#handshake.input(connection, key, segment, view, nowMs)) return;
      // What else a SYN,ACK carries comes again; the ACK of ours may bring payload.
      if ((segment.flags & TcpFlag.syn) !== 0) return;
    }
    this.#inputEstablished(connection, segment, frame, frameOffset, nowMs);
  }

  /** All segments of a batch were given: payload goes to the sockets, then acknowledgments to the guest. */
  endBatch(nowMs: number): void {
    const store = this.#store;
    const { touched, connections } = store;
    for (let i = 0; i < store.touchedCount; i++) {
      const connection = connections[touched[i]];
      connection.touched = 0;
      if (connection.state !== State.established) continue;
      if (!this.#consume(connection, nowMs)) continue;
      this.#receivePath.flush(connection, nowMs);
      this.#acknowledger.settle(connection, nowMs);
      this.#teardown.finishIfDone(connection);
    }
    store.touchedCount = 0;
    this.#receivePath.clear();
  }

  /** Tells that something happened to the socket of `flow`: a bit set of SocketEvent. Events of old flows are harmless. */
  socketReady(flow: number, events: number, nowMs: number): void {
    const store = this.#store;
    if (!store.table.has(flow)) return;
    const connection = store.connections[flow];
    if ((events & (SocketEvent.hangUp | SocketEvent.urgent)) !== 0) connection.readToEnd = 1;
    connection.socketMs = nowMs;
    if (connection.state === State.connecting) {
      this.#handshake.connected(connection, nowMs);
      return;
    }
    if (connection.state === State.resetting) return;
    if ((events & SocketEvent.error) !== 0 && this.#port.connectError(connection.socket) < 0) {
      this.counters[TcpCounter.resetByHost]++;
      this.#teardown.abort(connection, nowMs);
      return;
    }
    // Before it is established nothing is read; it is ready anyway once it is.
    if (connection.state !== State.established) return;
    if ((events & READ_EVENTS) !== 0 && store.lists.listOf(flow) === -1) store.lists.append(List.ready, flow);
    if ((events & SocketEvent.writable) !== 0) this.#writable(connection, nowMs);
  }

  /**
   * Opens a flow to the guest for a connection that was accepted on the host.
   *
   * @param peer address of the remote end, 4 words.
   * @param guestAddress where in the guest, or null: the guest's own address.
   * @returns the flow, or -1 when there can be none (table full, no address of that family): the caller closes the socket.
   */
  accepted(
    socket: number,
    peer: Uint32Array,
    peerPort: number,
    guestPort: number,
    nowMs: number,
    guestAddress: Uint32Array | null = null,
  ): number {
    const shown = this.#peerShown;
    if (!this.#addressMap.toGuest(peer, shown)) return -1;
    let guest = guestAddress;
    if (guest === null) {
      if (!this.#addressMap.guestFor(shown, this.#guestWords)) return -1;
      guest = this.#guestWords;
    }
    const key = this.#key;
    key.setWords(PROTOCOL_TCP, guest, 0, shown, 0, guestPort, peerPort);
    const ipVersion = isIpv4Mapped(shown, 0) ? 4 : 6;
    const connection = this.#handshake.accept(key, socket, ipVersion, peer, nowMs);
    return connection === null ? -1 : connection.flow;
  }

  /** Flows wait for room in the ring: the owner is to ask the sink for it ({@link RxSink.wantRoom}) after each turn. */
  get waitsForRoom(): boolean {
    return this.#store.lists.lengths[List.waitsForRoom] > 0;
  }

  /** Timers, and host to guest traffic up to a bound. True when more is ready: the next turn should come at once. */
  turn(nowMs: number): boolean {
    const { lists, connections } = this.#store;
    const sendPath = this.#sendPath;
    this.#retransmission.expire(nowMs);
    sendPath.roomExhausted = !this.#sink.ready;
    let left = lists.lengths[List.ready];
    // Who waited for room comes before who is ready, or the same few flows would take it again and again.
    let bytes = this.#serveWaiting(nowMs);
    for (; left > 0 && bytes < this.#turnBytes; left--) {
      const flow = lists.first(List.ready);
      if (flow === -1) break;
      bytes += this.#serve(connections[flow], nowMs);
    }
    return lists.lengths[List.ready] > 0;
  }

  /** The guest is a new one: every socket is closed with a reset, every connection forgotten. */
  reset(_nowMs: number): void {
    const store = this.#store;
    for (let flow = store.table.next(-1); flow !== -1; flow = store.table.next(flow)) {
      this.#teardown.resetHost(store.connections[flow]);
    }
    for (let i = 0; i < store.touchedCount; i++) store.connections[store.touched[i]].touched = 0;
    store.touchedCount = 0;
    this.#receivePath.clear();
  }

  #inputEstablished(connection: Connection, segment: Segment, frame: Iov, frameOffset: number, nowMs: number): void {
    this.#store.touch(connection);
    connection.guestMs = nowMs;
    const { flags } = segment;
    if ((flags & TcpFlag.rst) !== 0) {
      this.#inputReset(connection, segment, nowMs);
      return;
    }
    if ((flags & TcpFlag.syn) !== 0) {
      // Whatever its number: a guest that has forgotten this connection answers with the RST that ends it.
      challenge(connection, this.counters, nowMs);
      return;
    }
    if ((flags & TcpFlag.ack) === 0) return;
    if (!this.#guestAcknowledgment.process(connection, segment, nowMs)) return;
    this.#receivePath.accept(connection, segment, frame, frameOffset, nowMs);
  }

  #inputReset(connection: Connection, segment: Segment, nowMs: number): void {
    const { sequence } = segment;
    if (isExactReset(connection, sequence)) {
      this.counters[TcpCounter.resetByGuest]++;
      this.#teardown.resetHost(connection);
      return;
    }
    // In the window but not exact: whoever sent it must prove that it knows the number (RFC 5961 section 3.2).
    const isInWindow = seqDiff(sequence, connection.ackSent) >= 0 && seqDiff(sequence, connection.rcvEdge) <= 0;
    if (isInWindow) challenge(connection, this.counters, nowMs);
  }

  #consume(connection: Connection, nowMs: number): boolean {
    if (this.#guestAcknowledgment.consume(connection) === 0) return true;
    this.counters[TcpCounter.socketErrors]++;
    this.#teardown.abort(connection, nowMs);
    return false;
  }

  /** Events of a socket name everything that it is ready for: most of the time nobody waits to write. */
  #writable(connection: Connection, nowMs: number): void {
    if (connection.blocked === 0 && connection.lost === 0 && connection.windowLow === 0) return;
    if (connection.lost === 1) connection.ackDue = 1 + FAST_RETRANSMIT_DUPLICATES;
    connection.blocked = 0;
    connection.lost = 0;
    this.#acknowledger.settle(connection, nowMs);
  }

  /** Serves one flow from the head of a list: what it owes the guest first, then payload. */
  #serve(connection: Connection, nowMs: number): number {
    if (connection.state === State.resetting) {
      this.#teardown.retryReset(connection);
      return 0;
    }
    if (connection.ackDue > 0 && !this.#acknowledger.settle(connection, nowMs)) {
      this.#sendPath.roomExhausted = true;
      return 0;
    }
    if (connection.consumeBytes > 0 && !this.#consume(connection, nowMs)) return 0;
    const bytes = this.#sendPath.serve(connection, nowMs);
    this.#teardown.finishIfDone(connection);
    return bytes;
  }

  /** Serves the flows that wait for room, until the ring says no again or the turn is over. Payload bytes sent. */
  #serveWaiting(nowMs: number): number {
    const { lists, connections } = this.#store;
    let bytes = 0;
    for (let left = lists.lengths[List.waitsForRoom]; left > 0; left--) {
      if (this.#sendPath.roomExhausted || bytes >= this.#turnBytes) break;
      const flow = lists.takeFirst(List.waitsForRoom);
      if (flow === -1) break;
      lists.append(List.ready, flow);
      bytes += this.#serve(connections[flow], nowMs);
    }
    return bytes;
  }
}
