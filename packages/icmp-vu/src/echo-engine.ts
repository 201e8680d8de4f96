/**
 * Trust: the guest writes every request, and remote hosts every reply. A request costs at most one entry of a table of
 * fixed size, one socket and one system call; what does not fit is dropped and counted. Data is only summed and copied.
 */
import { copy, isBroadcast, isIpv4Mapped, isMulticast, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import { FlowKey } from "@passt-ts/flow/flow-key";
import { SlotLists } from "@passt-ts/flow/slot-list";
import type { Iov } from "@passt-ts/iov/iov";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { checkIcmp, Icmp, IcmpType, icmpCode, icmpSequence, icmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { IP_QUOTE_WORDS, keepIpWords } from "@passt-ts/wire/ip-quote";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import type { Packet } from "@passt-ts/wire/packet";
import { ECHO_COUNTERS, EchoCounter } from "./echo-counter.ts";
import { EchoErrors } from "./echo-errors.ts";
import { EchoFlows } from "./echo-flows.ts";
import { ECHO_TIMEOUT_MS, type EchoEngineOptions, ERROR_AT, REQUEST_AT } from "./echo-options.ts";
import { EchoReceiver } from "./echo-receiver.ts";
import { EchoSender } from "./echo-sender.ts";
import { EchoSlots } from "./echo-slots.ts";
import { ErrorWriter } from "./error-writer.ts";
import { ReplyWriter } from "./reply-writer.ts";
import { type EchoSocketPort, Errno, SocketEvent } from "./socket-port.ts";

/** Receives of one socket that may fail in a row before it is given up. */
const FAILURES_MAX = 8;
const READY = 0;

const NOT_PERMITTED =
  'the host refuses ping sockets, the guest\'s pings are dropped; allow them with: sysctl -w net.ipv4.ping_group_range="0 2147483647"';

/**
 * ICMP and ICMPv6 echo of one guest through ping sockets of the host: a socket for each (addresses, identifier).
 *
 * The kernel chooses the identifier on the wire, so that two guests on one host never steal each other's replies; the
 * guest's own is restored. The owner calls {@link turn} when {@link deadlineMs} is reached, and after room came when
 * {@link waitsForRoom}.
 */
export class EchoEngine {
  /** By {@link EchoCounter}. */
  readonly counters: Float64Array = new Float64Array(ECHO_COUNTERS);
  /**
   * Replies wait for room in the ring. The engine asked {@link RxSink.wantRoom} for it; its owner, who knows whether
   * others wait too, ends the asking.
   */
  waitsForRoom = false;

  readonly #port: EchoSocketPort;
  readonly #sink: RxSink;
  readonly #addressMap: AddressMap;
  readonly #flows: EchoFlows;
  readonly #sender: EchoSender;
  readonly #receiver: EchoReceiver;
  readonly #errors: EchoErrors;
  readonly #lists: SlotLists;
  readonly #errorPending: Uint8Array;
  readonly #failures: Uint8Array;
  readonly #slotCount: number;
  readonly #turnReplies: number;
  readonly #hostHopLimit: number;
  readonly #warn: (message: string) => void;
  #warned = false;
  readonly #key: FlowKey = new FlowKey();
  readonly #hostAddress: Uint32Array = new Uint32Array(4);

  constructor(options: EchoEngineOptions) {
    const { windows, sink, port, addressMap, guest, scratchWindow, scratchOffset, flowCapacity } = options;
    const { counters } = this;
    const flows = new EchoFlows(flowCapacity, options.secret, options.timeoutMs ?? ECHO_TIMEOUT_MS, options.nowMs);
    const slots = new EchoSlots(windows, options.slotWindow, options.slotOffset, options.slotCount);
    const errorScratch = { scratchWindow, scratchOffset: scratchOffset + ERROR_AT };
    this.#port = port;
    this.#sink = sink;
    this.#addressMap = addressMap;
    this.#flows = flows;
    this.#sender = new EchoSender(windows, port, scratchWindow, scratchOffset + REQUEST_AT, counters);
    const replyWriter = new ReplyWriter({ windows, sink, guest, scratchWindow, scratchOffset });
    this.#receiver = new EchoReceiver({ port, flows, slots, writer: replyWriter, counters });
    const errorWriter = new ErrorWriter({ windows, sink, guest, ...errorScratch });
    this.#errors = new EchoErrors({
      windows,
      port,
      addressMap,
      flows,
      writer: errorWriter,
      ...errorScratch,
      counters,
      nowMs: options.nowMs,
    });
    this.#lists = new SlotLists(flowCapacity, 1);
    this.#errorPending = new Uint8Array(flowCapacity);
    this.#failures = new Uint8Array(flowCapacity);
    this.#slotCount = options.slotCount;
    this.#turnReplies = options.turnReplies ?? 128;
    this.#hostHopLimit = options.hostHopLimit ?? 64;
    this.#warn = options.warn ?? (() => {});
  }

  get flowCount(): number {
    return this.#flows.table.count;
  }

  /** When {@link turn} is to be called at the latest though nothing happened, or Infinity. */
  get deadlineMs(): number {
    return this.#flows.deadlineMs;
  }

  /**
   * Takes one ICMP or ICMPv6 packet of the guest: `packet` is the parsed frame whose headers stand in `view`, and the
   * frame itself begins at `frameOffset` of `frame`. An echo request is sent at once, and its buffers are free when
   * this returns. False, and nothing done, when it is none.
   */
  input(packet: Packet, view: DataView, frame: Iov, frameOffset: number, nowMs: number): boolean {
    const { counters } = this;
    const v4 = packet.ipVersion === 4;
    const at = packet.l4At;
    if (packet.isFragment) {
      counters[EchoCounter.droppedFragment]++;
      return true;
    }
    if (!checkIcmp(at, packet.end, packet.l4Length)) {
      counters[EchoCounter.droppedMalformed]++;
      return true;
    }
    const type = icmpType(view, at);
    if (type !== (v4 ? IcmpType.echoRequest : Icmpv6Type.echoRequest)) return false;
    if (icmpCode(view, at) !== 0 || packet.hopLimit === 0) {
      counters[EchoCounter.droppedMalformed]++;
      return true;
    }
    this.#readKey(packet, view);
    const dataOffset = frameOffset + packet.l4Offset + Icmp.headerBytes;
    const dataLength = packet.l4Length - Icmp.headerBytes;
    const sequence = icmpSequence(view, at);
    let flow = this.#flows.table.find(this.#key);
    if (flow === -1) {
      const result = this.#open(nowMs);
      if (result === -Errno.ENETUNREACH || result === -Errno.EHOSTUNREACH) {
        const noHost = result === -Errno.EHOSTUNREACH;
        this.#errors.unreachable(this.#key, packet, view, frame, dataOffset, dataLength, noHost, nowMs);
      }
      if (result < 0) return true;
      flow = result;
    }
    this.#copyHopLimit(flow, packet);
    keepIpWords(view, packet.ipAt, packet.ipVersion, this.#flows.ipWords, IP_QUOTE_WORDS * flow);
    this.#flows.sentBytes[flow] = packet.l4Length;
    const socket = this.#flows.socket[flow];
    let sent = this.#sender.send(socket, type, sequence, frame, dataOffset, dataLength);
    if (sent < 0 && sent !== -Errno.EAGAIN) {
      // The failure may tell of an earlier request (an ICMP error that came back): this one did not go yet.
      this.#markReady(flow, SocketEvent.error);
      sent = this.#sender.send(socket, type, sequence, frame, dataOffset, dataLength);
    }
    this.#flows.seen(flow, nowMs);
    if (sent === 0) counters[EchoCounter.requestsToHost]++;
    else counters[sent > 0 ? EchoCounter.droppedMalformed : EchoCounter.droppedSendFailed]++;
    return true;
  }

  /** Says that epoll reported `events` (a set of {@link SocketEvent}) for the socket of `flow`. */
  socketReady(flow: number, events: number, _nowMs: number): void {
    if (this.#flows.table.has(flow)) this.#markReady(flow, events);
  }

  /**
   * Ends flows whose time is up and receives from ready sockets, a bounded number of replies.
   * Returns true when it stopped at that bound and wants another turn at once.
   */
  turn(nowMs: number): boolean {
    for (let flow = this.#flows.nextExpired(nowMs); flow !== -1; flow = this.#flows.nextExpired(nowMs)) {
      this.#end(flow);
      this.counters[EchoCounter.flowsExpired]++;
    }
    this.waitsForRoom = false;
    if (!this.#deliver(nowMs)) return false;
    let left = this.#turnReplies;
    for (;;) {
      if (this.#lists.first(READY) === -1) return false;
      if (left <= 0) return true;
      left -= this.#serve(this.#lists.takeFirst(READY));
      if (!this.#deliver(nowMs)) return false;
    }
  }

  /** Drops the oldest reply that waits for room; the length of its frame, 0 when none waits. */
  discard(): number {
    return this.#receiver.discard();
  }

  /** The guest is a new one: ends all flows. */
  reset(_nowMs: number): void {
    this.close();
  }

  /** Ends all flows and closes their sockets. */
  close(): void {
    const { table } = this.#flows;
    for (let flow = table.next(-1); flow !== -1; flow = table.next(flow)) this.#end(flow);
    this.waitsForRoom = false;
  }

  #readKey(packet: Packet, view: DataView): void {
    const { sourceAt, destinationAt } = packet;
    const identifier = view.getUint16(packet.l4At + Icmp.identifier);
    if (packet.ipVersion === 4) this.#key.setIpv4(IpProtocol.icmp, view, sourceAt, destinationAt, identifier, 0);
    else this.#key.setIpv6(IpProtocol.icmpv6, view, sourceAt, destinationAt, identifier, 0);
  }

  /** Receives once from the socket of `flow`, or reports its errors; the work that this was, in replies. */
  #serve(flow: number): number {
    const socket = this.#flows.socket[flow];
    if (this.#errorPending[flow] !== 0) {
      if (this.#errors.drain(socket, flow)) {
        this.#lists.append(READY, flow);
        return 16;
      }
      this.#errorPending[flow] = 0;
    }
    const received = this.#receiver.receive(socket, flow);
    if (received >= 0) {
      this.#failures[flow] = 0;
      if (received === this.#slotCount) this.#lists.append(READY, flow);
      return Math.max(1, received);
    }
    if (received === -Errno.EAGAIN) return 1;
    this.counters[EchoCounter.receiveErrors]++;
    if (++this.#failures[flow] < FAILURES_MAX) this.#markReady(flow, SocketEvent.error);
    else this.#end(flow);
    return 1;
  }

  /** Delivers what is staged; false when it waits for room. */
  #deliver(nowMs: number): boolean {
    if (this.#receiver.deliver(nowMs)) return true;
    // Room may have come before the driver was asked to say so: look once more, then wait.
    if (this.#sink.wantRoom(true) && this.#receiver.deliver(nowMs)) return true;
    this.waitsForRoom = true;
    return false;
  }

  /** Opens the flow of the key and its socket: its number, or a negative one when the request is dropped. */
  #open(nowMs: number): number {
    const key = this.#key;
    const { counters } = this;
    const host = this.#hostAddress;
    const { guest } = key;
    const badSource = isUnspecified(guest, 0) || isMulticast(guest, 0) || isBroadcast(guest, 0);
    if (badSource || !this.#addressMap.toHost(key.protocol, key.peer, 0, 0, host)) {
      counters[EchoCounter.droppedRefused]++;
      return -1;
    }
    const flows = this.#flows;
    const flow = flows.insert(key, nowMs);
    if (flow === -1) {
      counters[EchoCounter.droppedFlowTableFull]++;
      return -1;
    }
    const socket = this.#port.open(flow, isIpv4Mapped(host, 0) ? 4 : 6, host);
    if (socket < 0) {
      flows.remove(flow);
      this.#countRefusal(-socket);
      return socket;
    }
    flows.socket[flow] = socket;
    copy(flows.hostAddress, 4 * flow, host, 0);
    flows.hopLimit[flow] = this.#hostHopLimit;
    counters[EchoCounter.flowsOpened]++;
    return flow;
  }

  #countRefusal(errno: number): void {
    const { counters } = this;
    if (errno === Errno.EMFILE || errno === Errno.ENFILE) counters[EchoCounter.droppedNoDescriptor]++;
    else if (errno === Errno.EACCES || errno === Errno.EPERM) {
      counters[EchoCounter.droppedNotPermitted]++;
      if (!this.#warned) this.#warn(NOT_PERMITTED);
      this.#warned = true;
    } else counters[EchoCounter.droppedOpenFailed]++;
  }

  /** Makes the socket send with the TTL that the guest sent with, so that traceroute works through us. */
  #copyHopLimit(flow: number, packet: Packet): void {
    const { hopLimit, socket } = this.#flows;
    if (hopLimit[flow] === packet.hopLimit || packet.ipVersion === 0) return;
    hopLimit[flow] = packet.hopLimit;
    this.#port.setHopLimit(socket[flow], packet.ipVersion, packet.hopLimit);
  }

  #markReady(flow: number, events: number): void {
    if ((events & (SocketEvent.error | SocketEvent.hangUp)) !== 0) this.#errorPending[flow] = 1;
    else if ((events & SocketEvent.readable) === 0) return;
    this.#lists.append(READY, flow);
  }

  #end(flow: number): void {
    this.#receiver.ended(flow);
    this.#lists.remove(flow);
    this.#errorPending[flow] = 0;
    this.#failures[flow] = 0;
    this.#port.close(this.#flows.socket[flow]);
    this.#flows.remove(flow);
  }
}
