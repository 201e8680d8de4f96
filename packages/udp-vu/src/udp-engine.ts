/**
 * Trust: the guest writes every datagram that comes in here, and remote hosts those that go to it. A datagram of the
 * guest costs at most one entry of a table of fixed size, one socket and one system call; what does not fit is dropped
 * and counted. Nothing of a payload is read but to sum and to copy it.
 */
import { isBroadcast, isMulticast, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import { FlowKey } from "@passt-ts/flow/flow-key";
import { SlotLists } from "@passt-ts/flow/slot-list";
import type { Iov } from "@passt-ts/iov/iov";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { IP_QUOTE_WORDS, keepIpWords } from "@passt-ts/wire/ip-quote";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import type { Packet } from "@passt-ts/wire/packet";
import { checkUdp, Udp, udpDestinationPort, udpSourcePort } from "@passt-ts/wire/udp";
import { DatagramSlots } from "./datagram-slots.ts";
import { DatagramWriter } from "./datagram-writer.ts";
import { ErrorWriter } from "./error-writer.ts";
import { Errno, SocketEvent, type UdpSocketPort } from "./socket-port.ts";
import { UDP_COUNTERS, UdpCounter } from "./udp-counter.ts";
import { hasChecksum, UdpErrors } from "./udp-errors.ts";
import { CONNECTED, Direction, UdpFlows } from "./udp-flows.ts";
import { UdpListeners } from "./udp-listeners.ts";
import {
  BOTH_WAYS_TIMEOUT_MS,
  ERROR_AT,
  FLATTEN_AT,
  ONE_WAY_TIMEOUT_MS,
  type UdpEngineOptions,
} from "./udp-options.ts";
import { UdpReceiver } from "./udp-receiver.ts";
import { UdpSender } from "./udp-sender.ts";

/** Receives of one socket that may fail in a row before it is given up. */
const FAILURES_MAX = 8;
const READY = 0;

/**
 * UDP between the frames of one guest and sockets of the host: a connected socket for each flow that the guest opens,
 * listening sockets for those that it is to receive.
 *
 * Guest to host, {@link input} collects a batch and {@link endBatch} sends what is left of it. Host to guest, events
 * mark sockets ready and {@link turn} receives. The owner calls {@link turn} when {@link deadlineMs} is reached, and
 * after room came when {@link waitsForRoom}.
 */
export class UdpEngine {
  /** By {@link UdpCounter}. */
  readonly counters: Float64Array = new Float64Array(UDP_COUNTERS);
  /**
   * Datagrams wait for room in the ring. The engine asked {@link RxSink.wantRoom} for it; its owner, who knows whether
   * others wait too, ends the asking.
   */
  waitsForRoom = false;

  readonly #port: UdpSocketPort;
  readonly #sink: RxSink;
  readonly #addressMap: AddressMap;
  readonly #flows: UdpFlows;
  readonly #listeners: UdpListeners;
  readonly #sender: UdpSender;
  readonly #receiver: UdpReceiver;
  readonly #errors: UdpErrors;
  /** Slots are flows, then listeners. */
  readonly #lists: SlotLists;
  readonly #errorPending: Uint8Array;
  readonly #failures: Uint8Array;
  readonly #flowCapacity: number;
  readonly #slotCount: number;
  readonly #turnDatagrams: number;
  readonly #hostHopLimit: number;
  readonly #hostMulticastHopLimit: number;
  readonly #key: FlowKey = new FlowKey();
  readonly #hostAddress: Uint32Array = new Uint32Array(4);

  constructor(options: UdpEngineOptions) {
    const { port, sink, addressMap, windows, scratchWindow, scratchOffset, flowCapacity, guest } = options;
    const { counters } = this;
    const listeners = new UdpListeners(options.listenerCapacity ?? 0);
    const flows = new UdpFlows(
      flowCapacity,
      options.secret,
      options.oneWayTimeoutMs ?? ONE_WAY_TIMEOUT_MS,
      options.bothWaysTimeoutMs ?? BOTH_WAYS_TIMEOUT_MS,
      options.nowMs,
    );
    const slots = new DatagramSlots(windows, options.slotWindow, options.slotOffset, options.slotCount);
    const errorScratch = { scratchWindow, scratchOffset: scratchOffset + ERROR_AT };
    const errorWriter = new ErrorWriter({ windows, sink, guest, ...errorScratch });
    const writer = new DatagramWriter({ windows, sink, guest, scratchWindow, scratchOffset });
    const slotTotal = flowCapacity + listeners.capacity;
    this.#port = port;
    this.#sink = sink;
    this.#addressMap = addressMap;
    this.#flows = flows;
    this.#listeners = listeners;
    this.#sender = new UdpSender({
      windows,
      port,
      flows,
      flattenWindow: scratchWindow,
      flattenOffset: scratchOffset + FLATTEN_AT,
      batchCapacity: options.sendBatchMax ?? 64,
      counters,
      socketFailed: (flow) => this.#markFailed(flow),
    });
    this.#receiver = new UdpReceiver({ port, sink, addressMap, flows, listeners, slots, writer, counters });
    this.#errors = new UdpErrors({
      port,
      addressMap,
      flows,
      listeners,
      writer: errorWriter,
      ...errorScratch,
      counters,
      nowMs: options.nowMs,
    });
    this.#lists = new SlotLists(slotTotal, 1);
    this.#errorPending = new Uint8Array(slotTotal);
    this.#failures = new Uint8Array(slotTotal);
    this.#flowCapacity = flowCapacity;
    this.#slotCount = options.slotCount;
    this.#turnDatagrams = options.turnDatagrams ?? 256;
    this.#hostHopLimit = options.hostHopLimit ?? 64;
    this.#hostMulticastHopLimit = options.hostMulticastHopLimit ?? 1;
  }

  get flowCount(): number {
    return this.#flows.table.count;
  }

  /** When {@link turn} is to be called at the latest though nothing happened, or Infinity. */
  get deadlineMs(): number {
    return this.#flows.deadlineMs;
  }

  /**
   * Takes one datagram of the guest: `packet` is the parsed frame whose headers stand in `view`, and the frame itself
   * begins at `frameOffset` of `frame`. Its buffers are borrowed until {@link endBatch}.
   *
   * @param segmentBytes payload of each of several datagrams that the frame stands for (the last may be shorter), as its
   *   gso_size says; 0: it is one. More than 128 are refused.
   */
  input(packet: Packet, view: DataView, frame: Iov, frameOffset: number, nowMs: number, segmentBytes = 0): void {
    const dropped = this.#readKey(packet, view);
    if (dropped >= 0) {
      this.counters[dropped]++;
      return;
    }
    const lengthBytes = checkUdp(view, packet.l4At, packet.end, packet.l4Length);
    const payloadOffset = frameOffset + packet.l4Offset + Udp.headerBytes;
    let flow = this.#flows.table.find(this.#key);
    if (flow === -1) {
      flow = this.#open(packet, view, frame, payloadOffset, lengthBytes, nowMs);
      if (flow === -1) return;
    }
    if (this.#flows.listener[flow] === CONNECTED) this.#copyHopLimit(flow, packet);
    this.#keepForQuote(flow, packet, view, segmentBytes === 0 ? lengthBytes : Math.min(segmentBytes, lengthBytes));
    if (this.#sender.addJoined(flow, frame, payloadOffset, lengthBytes, segmentBytes)) {
      this.#flows.seen(flow, Direction.toHost, nowMs);
    } else this.counters[UdpCounter.droppedMalformed]++;
  }

  /** Sends what is collected: the buffers of the batch are free when it returns. */
  endBatch(_nowMs: number): void {
    this.#sender.flush();
  }

  /** Says that epoll reported `events` (a set of {@link SocketEvent}) for the socket of `flow`. */
  socketReady(flow: number, events: number, _nowMs: number): void {
    if (this.#flows.table.has(flow) && this.#flows.listener[flow] === CONNECTED) this.#markReady(flow, events);
  }

  /** As {@link socketReady}, for a listener. */
  listenerReady(listener: number, events: number, _nowMs: number): void {
    if (this.#listeners.has(listener)) this.#markReady(this.#flowCapacity + listener, events);
  }

  /**
   * Takes in a listening socket, which its owner opened, registered edge-triggered and closes; what it receives goes to
   * `guestPort` of the guest. Its number for {@link listenerReady}, which the owner calls once now: datagrams may wait.
   *
   * @param guestAddress where in the guest, 4 words; null: the guest's own address.
   * @throws RangeError when there are listenerCapacity listeners.
   */
  addListener(socket: number, guestPort: number, guestAddress: Uint32Array | null = null): number {
    return this.#listeners.add(socket, guestPort, guestAddress);
  }

  /** Ends a listener and its flows; the socket is its owner's to close, afterwards. */
  removeListener(listener: number): void {
    const { table } = this.#flows;
    for (let flow = table.next(-1); flow !== -1; flow = table.next(flow)) {
      if (this.#flows.listener[flow] === listener) this.#end(flow);
    }
    this.#receiver.ended(-1, listener);
    this.#forget(this.#flowCapacity + listener);
    this.#listeners.remove(listener);
  }

  /**
   * Ends flows whose time is up and receives from ready sockets, a bounded number of datagrams.
   * Returns true when it stopped at that bound and wants another turn at once.
   */
  turn(nowMs: number): boolean {
    for (let flow = this.#flows.nextExpired(nowMs); flow !== -1; flow = this.#flows.nextExpired(nowMs)) {
      this.#end(flow);
      this.counters[UdpCounter.flowsExpired]++;
    }
    this.waitsForRoom = false;
    if (!this.#deliver(nowMs)) return false;
    let left = this.#turnDatagrams;
    for (;;) {
      if (this.#lists.first(READY) === -1) return false;
      if (left <= 0) return true;
      left -= this.#serve(this.#lists.takeFirst(READY));
      if (!this.#deliver(nowMs)) return false;
    }
  }

  /** Drops the oldest datagram that waits for room; the length of its frame, 0 when none waits. */
  discard(): number {
    return this.#receiver.discard();
  }

  /** The guest is a new one: ends all flows. Listeners stay. */
  reset(_nowMs: number): void {
    this.close();
  }

  /** Ends all flows and closes their sockets. */
  close(): void {
    this.#sender.clear();
    const { table } = this.#flows;
    for (let flow = table.next(-1); flow !== -1; flow = table.next(flow)) this.#end(flow);
    for (let listener = 0; listener < this.#listeners.capacity; listener++) this.#receiver.ended(-1, listener);
    this.waitsForRoom = false;
  }

  /** Receives once from the socket of `slot`, or reports its errors; the work that this was, in datagrams. */
  #serve(slot: number): number {
    const isListener = slot >= this.#flowCapacity;
    const listener = isListener ? slot - this.#flowCapacity : CONNECTED;
    const flow = isListener ? -1 : slot;
    const socket = isListener ? this.#listeners.socket[listener] : this.#flows.socket[flow];
    if (this.#errorPending[slot] !== 0) {
      if (this.#errors.drain(socket, flow, listener)) {
        this.#lists.append(READY, slot);
        return 16;
      }
      this.#errorPending[slot] = 0;
    }
    const received = this.#receiver.receive(socket, flow, listener);
    if (received >= 0) {
      this.#failures[slot] = 0;
      if (received === this.#slotCount) this.#lists.append(READY, slot);
      return Math.max(1, this.#receiver.staged);
    }
    if (received === -Errno.EAGAIN) return 1;
    this.counters[UdpCounter.receiveErrors]++;
    if (++this.#failures[slot] < FAILURES_MAX) {
      this.#errorPending[slot] = 1;
      this.#lists.append(READY, slot);
    } else {
      this.#failures[slot] = 0;
      if (!isListener) this.#end(flow);
    }
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

  /** Checks a datagram of the guest and reads its flow's key; the counter of the reason to drop it, or -1. */
  #readKey(packet: Packet, view: DataView): number {
    if (packet.isFragment) return UdpCounter.droppedFragment;
    const at = packet.l4At;
    if (checkUdp(view, at, packet.end, packet.l4Length) < 0) return UdpCounter.droppedMalformed;
    const key = this.#key;
    const guestPort = udpSourcePort(view, at);
    const peerPort = udpDestinationPort(view, at);
    if (peerPort === 0 || packet.hopLimit === 0) return UdpCounter.droppedMalformed;
    const { sourceAt, destinationAt } = packet;
    if (packet.ipVersion === 4) key.setIpv4(IpProtocol.udp, view, sourceAt, destinationAt, guestPort, peerPort);
    else key.setIpv6(IpProtocol.udp, view, sourceAt, destinationAt, guestPort, peerPort);
    const { guest, peer } = key;
    if (isUnspecified(guest, 0) || isMulticast(guest, 0) || isBroadcast(guest, 0) || isBroadcast(peer, 0)) {
      return UdpCounter.droppedAddress;
    }
    return -1;
  }

  /** Opens a flow and its socket for a datagram; -1 when it is dropped. */
  #open(packet: Packet, view: DataView, frame: Iov, payloadOffset: number, lengthBytes: number, nowMs: number): number {
    const key = this.#key;
    const host = this.#hostAddress;
    const { counters } = this;
    if (!this.#addressMap.toHost(IpProtocol.udp, key.peer, 0, key.peerPort, host)) {
      counters[UdpCounter.droppedRefused]++;
      return -1;
    }
    const flows = this.#flows;
    const flow = flows.insert(key, nowMs);
    if (flow === -1) {
      counters[UdpCounter.droppedFlowTableFull]++;
      return -1;
    }
    const socket = this.#port.open(flow, host, key.peerPort, key.guestPort);
    if (socket < 0) {
      flows.remove(flow);
      const noDescriptor = socket === -Errno.EMFILE || socket === -Errno.ENFILE;
      counters[noDescriptor ? UdpCounter.droppedNoDescriptor : UdpCounter.droppedOpenFailed]++;
      if (socket === -Errno.ENETUNREACH || socket === -Errno.EHOSTUNREACH) {
        const noHost = socket === -Errno.EHOSTUNREACH;
        this.#errors.unreachable(key, packet, view, frame, payloadOffset, lengthBytes, noHost, nowMs);
      }
      return -1;
    }
    flows.socket[flow] = socket;
    for (let i = 0; i < 4; i++) flows.hostAddress[4 * flow + i] = host[i];
    flows.hopLimit[flow] = isMulticast(host, 0) ? this.#hostMulticastHopLimit : this.#hostHopLimit;
    this.counters[UdpCounter.flowsOpened]++;
    return flow;
  }

  /** Keeps what an ICMP error about the datagram has to quote. */
  #keepForQuote(flow: number, packet: Packet, view: DataView, lengthBytes: number): void {
    const flows = this.#flows;
    keepIpWords(view, packet.ipAt, packet.ipVersion, flows.ipWords, IP_QUOTE_WORDS * flow);
    flows.sentBytes[flow] = lengthBytes;
    flows.hasChecksum[flow] = hasChecksum(packet, view) ? 1 : 0;
  }

  /** Makes the socket send with the TTL that the guest sent with, so that traceroute works through us. */
  #copyHopLimit(flow: number, packet: Packet): void {
    const flows = this.#flows;
    if (flows.hopLimit[flow] === packet.hopLimit || packet.ipVersion === 0) return;
    // What is collected was sent with the old one.
    this.#sender.flush();
    flows.hopLimit[flow] = packet.hopLimit;
    const multicast = isMulticast(flows.hostAddress, 4 * flow);
    this.#port.setHopLimit(flows.socket[flow], packet.ipVersion, multicast, packet.hopLimit);
  }

  #markReady(slot: number, events: number): void {
    if ((events & (SocketEvent.error | SocketEvent.hangUp)) !== 0) this.#errorPending[slot] = 1;
    else if ((events & SocketEvent.readable) === 0) return;
    this.#lists.append(READY, slot);
  }

  #markFailed(flow: number): void {
    const listener = this.#flows.listener[flow];
    this.#markReady(listener === CONNECTED ? flow : this.#flowCapacity + listener, SocketEvent.error);
  }

  #end(flow: number): void {
    const flows = this.#flows;
    if (flows.listener[flow] === CONNECTED) {
      this.#receiver.ended(flow, CONNECTED);
      this.#forget(flow);
      this.#port.close(flows.socket[flow]);
    }
    flows.remove(flow);
  }

  #forget(slot: number): void {
    this.#lists.remove(slot);
    this.#errorPending[slot] = 0;
    this.#failures[slot] = 0;
  }
}
