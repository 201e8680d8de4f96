import { isBroadcast, isLoopback, isMulticast, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import type { FlowKey } from "@passt-ts/flow/flow-key";
import type { KeyedHash } from "@passt-ts/flow/keyed-hash";
import { TokenBucket } from "@passt-ts/flow/token-bucket";
import { keepIpWords } from "@passt-ts/wire/ip-quote";
import { TcpFlag, TcpOptions } from "@passt-ts/wire/tcp";
import { type Acknowledger, OFFERED_WINDOW_SCALE } from "./acknowledger.ts";
import { type Connection, RTO_AFTER_SYN_LOSS_MS, State } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import { type ErrorWriter, unreachableCode } from "./error-writer.ts";
import type { IdleWatch } from "./idle-watch.ts";
import type { Segment } from "./segment.ts";
import type { SegmentBuilder } from "./segment-builder.ts";
import { type Seq, seq, seqAdd, seqDiff } from "./sequence.ts";
import { SocketError, type TcpSocketPort } from "./socket-port.ts";
import type { Teardown } from "./teardown.ts";
import { ToldSyns } from "./told-syns.ts";

const PROTOCOL_TCP = 6;
/** RFC 9293 section 3.7.1: a peer that does not say. */
const MSS_DEFAULT = 536;
const MSS_MIN = 64;
/** RFC 6528: the clock of initial sequence numbers ticks once in 32 ns. */
const TICKS_PER_MS = 31_250;
/** ICMP errors: net.ipv4.icmp_msgs_per_sec and icmp_msgs_burst. */
const ERRORS_PER_SECOND = 1000;
const ERRORS_BURST = 50;
/** Above this, an MSS is rounded down to whole pages. */
const PAGE_BYTES = 4096;

/** The MSS to offer for an MTU; with one that holds no headers the least that can work. */
export function offeredMss(mtu: number, ipVersion: number): number {
  const bytes = longestSegment(mtu, ipVersion);
  return bytes > PAGE_BYTES ? bytes - (bytes % PAGE_BYTES) : bytes;
}

/** The longest segment that a link of this MTU carries. */
function longestSegment(mtu: number, ipVersion: number): number {
  return Math.max(MSS_MIN, mtu - (ipVersion === 4 ? 40 : 60));
}

export interface HandshakeOptions {
  readonly store: ConnectionStore;
  readonly port: TcpSocketPort;
  readonly builder: SegmentBuilder;
  readonly acknowledger: Acknowledger;
  readonly idle: IdleWatch;
  readonly teardown: Teardown;
  readonly errorWriter: ErrorWriter;
  readonly addressMap: AddressMap;
  readonly hash: KeyedHash;
  readonly mtu: number;
  /** Waits between SYNs, the last one before it is over. */
  readonly synWaitsMs: readonly number[];
  readonly counters: Float64Array;
  readonly nowMs: number;
}

/** Opens connections: SYN of the guest to connect(), accept() to SYN, and the answers until both sides agree. */
export class Handshake {
  readonly #store: ConnectionStore;
  readonly #port: TcpSocketPort;
  readonly #builder: SegmentBuilder;
  readonly #acknowledger: Acknowledger;
  readonly #idle: IdleWatch;
  readonly #teardown: Teardown;
  readonly #errorWriter: ErrorWriter;
  readonly #addressMap: AddressMap;
  readonly #hash: KeyedHash;
  readonly #mtu: number;
  readonly #synWaitsMs: readonly number[];
  readonly #counters: Float64Array;
  readonly #errorRate: TokenBucket;
  readonly #toldSyns: ToldSyns = new ToldSyns();
  readonly #tcpOptions: TcpOptions = new TcpOptions();
  readonly #words: Uint32Array = new Uint32Array(4);

  constructor(options: HandshakeOptions) {
    this.#store = options.store;
    this.#port = options.port;
    this.#builder = options.builder;
    this.#acknowledger = options.acknowledger;
    this.#idle = options.idle;
    this.#teardown = options.teardown;
    this.#errorWriter = options.errorWriter;
    this.#addressMap = options.addressMap;
    this.#hash = options.hash;
    this.#mtu = options.mtu;
    this.#synWaitsMs = options.synWaitsMs;
    this.#counters = options.counters;
    this.#errorRate = new TokenBucket(ERRORS_PER_SECOND, ERRORS_BURST, options.nowMs);
  }

  /** Answers a segment that belongs to no connection (RFC 9293 section 3.10.7.1), or opens one for its SYN. */
  answerUnknown(key: FlowKey, ipVersion: number, segment: Segment, view: DataView, nowMs: number): void {
    if (segment.has(TcpFlag.rst)) return;
    // No host is a group: to answer as one would tell the guest nonsense (RFC 9293 section 3.9.2.3).
    if (isGroup(key.peer) || isGroup(key.guest)) {
      this.#counters[TcpCounter.refusedAddress]++;
      return;
    }
    if (segment.has(TcpFlag.syn) && !segment.has(TcpFlag.ack)) this.#open(key, ipVersion, segment, view, nowMs);
    else this.#refuse(key, ipVersion, segment);
  }

  /** A connection accepted on the host: SYN to the guest. The connection, or null when there can be none. */
  accept(key: FlowKey, socket: number, ipVersion: number, source: Uint32Array, nowMs: number): Connection | null {
    if (this.#store.table.find(key) !== -1) return null;
    const connection = this.#store.add(key);
    if (connection === null) {
      this.#counters[TcpCounter.tableFull]++;
      return null;
    }
    connection.open(State.synSent, ipVersion, this.#initialSequence(key, nowMs));
    if (this.#port.adopt(connection.flow, socket) < 0) {
      this.#store.remove(connection);
      return null;
    }
    connection.socket = socket;
    connection.local = isLoopback(source, 0) ? 1 : 0;
    connection.offeredMss = offeredMss(this.#mtu, ipVersion);
    connection.sndNxt = seqAdd(connection.isn, 1);
    connection.sndMax = connection.sndNxt;
    this.#counters[TcpCounter.accepted]++;
    this.#sendSyn(connection, nowMs);
    return connection;
  }

  /** The socket of a connecting flow has something to say. */
  connected(connection: Connection, nowMs: number): void {
    const error = this.#port.connectError(connection.socket);
    if (error === SocketError.inProgress) return;
    if (error < 0) {
      this.#counters[TcpCounter.connectFailed]++;
      if (this.#tellUnreachable(connection, error, nowMs)) {
        this.#teardown.resetHost(connection);
        return;
      }
      // Nothing was sent yet: a RST that acknowledges the SYN carries sequence number 0.
      connection.sndUna = seq(0);
      connection.sndMax = seq(0);
      this.#teardown.abort(connection, nowMs);
      return;
    }
    connection.state = State.synReceived;
    connection.sndNxt = seqAdd(connection.isn, 1);
    connection.sndMax = connection.sndNxt;
    this.#sendSyn(connection, nowMs);
  }

  /** A segment from the guest for a connection that is not established yet. True when it is established now. */
  input(connection: Connection, key: FlowKey, segment: Segment, view: DataView, nowMs: number): boolean {
    if (connection.state === State.synSent) return this.#inputInbound(connection, key, segment, view, nowMs);
    const isReset = segment.has(TcpFlag.rst);
    if (isReset || (segment.has(TcpFlag.syn) && segment.sequence !== seqAdd(connection.rcvNxt, -1))) {
      // A SYN with another number is a new attempt of a guest that forgot this one.
      if (isReset && segment.sequence !== connection.rcvNxt) return false;
      const { ipVersion } = connection;
      this.#counters[TcpCounter.resetByGuest]++;
      this.#teardown.resetHost(connection);
      if (!isReset) this.answerUnknown(key, ipVersion, segment, view, nowMs);
      return false;
    }
    if (connection.state === State.connecting) return false;
    if (segment.has(TcpFlag.syn)) {
      this.#emitSyn(connection);
      return false;
    }
    if (!segment.has(TcpFlag.ack)) return false;
    if (segment.acknowledgment !== connection.sndNxt) {
      this.#refuse(key, connection.ipVersion, segment);
      return false;
    }
    connection.sndWl1 = segment.sequence;
    this.#establish(connection, segment, segment.window << connection.guestScale, nowMs);
    return true;
  }

  /** The guest has not answered in time: SYN or SYN,ACK again with the same number, or the end. */
  timeout(connection: Connection, nowMs: number): void {
    connection.retries++;
    if (connection.retries < this.#synWaitsMs.length) {
      connection.firstRtoMs = RTO_AFTER_SYN_LOSS_MS;
      this.#sendSyn(connection, nowMs);
      return;
    }
    this.#counters[TcpCounter.handshakeTimeout]++;
    // A guest whose answers got lost has half a connection, which the RST ends.
    this.#teardown.abort(connection, nowMs);
  }

  #open(key: FlowKey, ipVersion: number, segment: Segment, view: DataView, nowMs: number): void {
    const host = this.#words;
    if (!this.#addressMap.toHost(PROTOCOL_TCP, key.peer, 0, key.peerPort, host)) {
      this.#counters[TcpCounter.refusedAddress]++;
      return;
    }
    const connection = this.#store.add(key);
    if (connection === null) {
      this.#counters[TcpCounter.tableFull]++;
      this.#refuse(key, ipVersion, segment);
      return;
    }
    connection.open(State.connecting, ipVersion, this.#initialSequence(key, nowMs));
    connection.setGuestStart(seqAdd(segment.sequence, 1));
    keepIpWords(view, segment.ipAt, ipVersion, connection.synIpWords, 0);
    connection.synHopLimit = segment.hopLimit;
    connection.synBytes = segment.headerBytes + segment.payloadBytes;
    const socket = this.#port.connect(connection.flow, host, key.peerPort);
    if (socket < 0) {
      this.#counters[TcpCounter.connectFailed]++;
      const isTold = this.#tellUnreachable(connection, socket, nowMs);
      this.#store.remove(connection);
      if (!isTold) this.#refuse(key, ipVersion, segment);
      return;
    }
    this.#counters[TcpCounter.opened]++;
    connection.socket = socket;
    connection.local = isLoopback(host, 0) ? 1 : 0;
    connection.offeredMss = offeredMss(this.#mtu, ipVersion);
    this.#readOptions(connection, segment, view);
    connection.sndWnd = segment.window;
    connection.sndWl1 = segment.sequence;
  }

  #inputInbound(connection: Connection, key: FlowKey, segment: Segment, view: DataView, nowMs: number): boolean {
    const { flags } = segment;
    if ((flags & TcpFlag.ack) !== 0 && segment.acknowledgment !== connection.sndNxt) {
      if ((flags & TcpFlag.rst) === 0) this.#refuse(key, connection.ipVersion, segment);
      return false;
    }
    if ((flags & TcpFlag.rst) !== 0) {
      if ((flags & TcpFlag.ack) === 0) return false;
      this.#counters[TcpCounter.resetByGuest]++;
      this.#teardown.resetHost(connection);
      return false;
    }
    // A SYN alone would be a simultaneous open: the guest does not know of ours, which comes again.
    if (!segment.has(TcpFlag.syn | TcpFlag.ack)) return false;
    connection.setGuestStart(seqAdd(segment.sequence, 1));
    this.#readOptions(connection, segment, view);
    connection.sndWl1 = segment.sequence;
    // The window of a segment with SYN is not scaled (RFC 7323 section 2.2).
    this.#establish(connection, segment, segment.window, nowMs);
    connection.ackDue = 1;
    this.#store.touch(connection);
    this.#acknowledger.settle(connection, nowMs);
    return true;
  }

  #establish(connection: Connection, segment: Segment, window: number, nowMs: number): void {
    connection.state = State.established;
    connection.sndUna = connection.sndNxt;
    connection.sndWl2 = segment.acknowledgment;
    connection.sndWnd = window;
    connection.maxWnd = window;
    connection.retries = 0;
    connection.rtoMs = connection.firstRtoMs;
    this.#store.timers.cancel(connection.flow);
    this.#idle.start(connection, nowMs);
    // Whatever the socket told before now was not looked at.
    if (this.#store.lists.listOf(connection.flow) === -1) this.#store.lists.append(List.ready, connection.flow);
  }

  #readOptions(connection: Connection, segment: Segment, view: DataView): void {
    const options = this.#tcpOptions;
    options.parse(view, segment.at, segment.headerBytes);
    const { maximumSegmentSize, windowScale } = options;
    const asked = maximumSegmentSize < 0 ? MSS_DEFAULT : Math.max(MSS_MIN, maximumSegmentSize);
    connection.mss = Math.min(asked, longestSegment(this.#mtu, connection.ipVersion));
    connection.guestScale = Math.max(0, windowScale);
    connection.ourScale = windowScale < 0 ? 0 : OFFERED_WINDOW_SCALE;
  }

  #sendSyn(connection: Connection, nowMs: number): void {
    this.#store.timers.schedule(connection.flow, nowMs + this.#synWaitsMs[connection.retries]);
    this.#emitSyn(connection);
  }

  /** One SYN or SYN,ACK. Without room in the ring it is lost; the timer sends it again. */
  #emitSyn(connection: Connection): void {
    const isAnswer = connection.state === State.synReceived;
    const window = this.#acknowledger.firstWindow(connection);
    const scale = isAnswer && connection.ourScale === 0 ? -1 : OFFERED_WINDOW_SCALE;
    const acknowledgment = isAnswer ? connection.rcvNxt : seq(0);
    const flags = isAnswer ? TcpFlag.ack : 0;
    this.#builder.selectFlow(connection);
    const { isn } = connection;
    this.#builder.sendSyn(isn, acknowledgment, flags, window, connection.offeredMss, scale);
    if (isAnswer) connection.rcvEdge = seqAdd(connection.rcvNxt, window);
  }

  /** The RST for a segment without a connection (RFC 9293 section 3.10.7.1). */
  #refuse(key: FlowKey, ipVersion: number, segment: Segment): void {
    this.#builder.selectKey(key, ipVersion);
    let sent: number;
    if (segment.has(TcpFlag.ack)) sent = this.#builder.sendEmpty(segment.acknowledgment, seq(0), TcpFlag.rst, 0);
    else {
      const behind = seqAdd(segment.sequence, segment.sequenceBytes);
      sent = this.#builder.sendEmpty(seq(0), behind, TcpFlag.rst | TcpFlag.ack, 0);
    }
    if (sent === 0) this.#counters[TcpCounter.resetsOut]++;
  }

  /**
   * Answers a SYN whose connect() failed with an ICMP error when one says it better than a RST. False when a RST is to
   * say it: also to a guest that had the error twice and goes on all the same, and when there are more errors than a
   * router may send (RFC 4443 section 2.4 f).
   */
  #tellUnreachable(connection: Connection, error: number, nowMs: number): boolean {
    const { flow, ipVersion } = connection;
    const code = unreachableCode(error, ipVersion);
    if (code < 0 || !this.#errorRate.take(nowMs)) return false;
    const { guestAddress, peerAddress, guestPort, peerPort } = this.#store.table;
    const ports = [guestPort[flow], peerPort[flow]] as const;
    const hash = this.#hash.hash(guestAddress, 4 * flow, peerAddress, 4 * flow, ...ports, PROTOCOL_TCP);
    if (this.#toldSyns.add(hash, connection.rcvStart)) return false;
    const written = this.#errorWriter.write(connection, code, guestAddress, peerAddress, 4 * flow, ...ports);
    this.#counters[written === 0 ? TcpCounter.unreachablesOut : TcpCounter.segmentsDropped]++;
    return true;
  }

  /** RFC 6528: a clock, and a secret function of the connection. */
  #initialSequence(key: FlowKey, nowMs: number): Seq {
    const { guest, peer, guestPort, peerPort } = key;
    const clock = Math.floor(nowMs * TICKS_PER_MS) % 0x1_0000_0000;
    return seq(clock + this.#hash.hash(guest, 0, peer, 0, guestPort, peerPort, PROTOCOL_TCP));
  }
}

/** Whether `sequence` is one that a RST of the guest must have to be believed at once (RFC 5961 section 3.2). */
export function isExactReset(connection: Connection, sequence: Seq): boolean {
  return (
    sequence === connection.rcvQueued || sequence === connection.rcvNxt || seqDiff(sequence, connection.ackSent) === 0
  );
}

/** Addresses that no host has. */
function isGroup(words: Uint32Array): boolean {
  return isMulticast(words, 0) || isBroadcast(words, 0) || isUnspecified(words, 0);
}
