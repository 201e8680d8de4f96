import { equals, isIpv4Mapped, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import { FlowKey } from "@passt-ts/flow/flow-key";
import { TokenBucket } from "@passt-ts/flow/token-bucket";
import type { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import { IcmpType, IcmpUnreachable } from "@passt-ts/wire/icmp";
import { Icmpv6Type, Icmpv6Unreachable } from "@passt-ts/wire/icmpv6";
import { IP_QUOTE_WORDS, keepIpWords } from "@passt-ts/wire/ip-quote";
import type { Packet } from "@passt-ts/wire/packet";
import { Udp } from "@passt-ts/wire/udp";
import { ERROR_DATA_BYTES, ERROR_DATA_OFFSET, type ErrorWriter, FailedDatagram } from "./error-writer.ts";
import { ErrorOrigin, SocketError } from "./socket-error.ts";
import type { UdpSocketPort } from "./socket-port.ts";
import { UdpCounter } from "./udp-counter.ts";
import { CONNECTED, type UdpFlows } from "./udp-flows.ts";
import type { UdpListeners } from "./udp-listeners.ts";

/** Entries of an error queue taken at a time. */
const ERRORS_MAX = 16;
/** RFC 4443 section 2.4 f: a rate is a must; these are net.ipv4.icmp_msgs_per_sec and icmp_msgs_burst. */
const ERRORS_PER_SECOND = 1000;
const ERRORS_BURST = 50;
/** What a quote shows when the guest's own TTL is not known, and on expiry. */
const HOP_LIMIT_UNKNOWN = 64;
const HOP_LIMIT_EXPIRED = 1;

export interface UdpErrorsOptions {
  port: UdpSocketPort;
  addressMap: AddressMap;
  flows: UdpFlows;
  listeners: UdpListeners;
  writer: ErrorWriter;
  /** The scratch of {@link ErrorWriter}. */
  scratchWindow: number;
  scratchOffset: number;
  counters: Float64Array;
  nowMs: number;
}

/** Passes what went wrong on the host's side on to the guest, as ICMP errors. */
export class UdpErrors {
  readonly #port: UdpSocketPort;
  readonly #addressMap: AddressMap;
  readonly #flows: UdpFlows;
  readonly #listeners: UdpListeners;
  readonly #writer: ErrorWriter;
  readonly #counters: Float64Array;
  /** Of errors of our own; those from elsewhere come at the rate of who sent them. */
  readonly #rate: TokenBucket;
  readonly #error: SocketError;
  readonly #failed: FailedDatagram = new FailedDatagram();
  readonly #key: FlowKey = new FlowKey();
  readonly #source: Uint32Array = new Uint32Array(4);
  readonly #ipWords: Uint32Array = new Uint32Array(IP_QUOTE_WORDS);

  constructor(options: UdpErrorsOptions) {
    this.#port = options.port;
    this.#addressMap = options.addressMap;
    this.#flows = options.flows;
    this.#listeners = options.listeners;
    this.#writer = options.writer;
    this.#counters = options.counters;
    this.#rate = new TokenBucket(ERRORS_PER_SECOND, ERRORS_BURST, options.nowMs);
    const dataOffset = options.scratchOffset + ERROR_DATA_OFFSET;
    this.#error = new SocketError(options.scratchWindow, dataOffset, ERROR_DATA_BYTES);
  }

  /**
   * Takes entries off the error queue of `flow`'s socket, or of `listener` when that is not CONNECTED.
   * Returns true when it stopped before the queue was empty.
   */
  drain(socket: number, flow: number, listener: number): boolean {
    for (let i = 0; i < ERRORS_MAX; i++) {
      if (this.#port.takeError(socket, this.#error) <= 0) return false;
      this.#report(listener === CONNECTED ? flow : this.#flowOf(listener));
    }
    return true;
  }

  /**
   * Answers a datagram of the guest that no socket could be opened for, as a router without a route does.
   *
   * @param key the datagram's flow.
   * @param packet its headers, which stand in `view`.
   * @param offset where its payload of `lengthBytes` bytes begins in `frame`.
   */
  unreachable(
    key: FlowKey,
    packet: Packet,
    view: DataView,
    frame: Iov,
    offset: number,
    lengthBytes: number,
    host: boolean,
    nowMs: number,
  ): void {
    if (!this.#rate.take(nowMs)) {
      this.#counters[UdpCounter.droppedError]++;
      return;
    }
    const { dataWindow, dataOffset } = this.#error;
    const failed = this.#failed;
    failed.guest = key.guest;
    failed.guestAt = 0;
    failed.guestPort = key.guestPort;
    failed.peer = key.peer;
    failed.peerAt = 0;
    failed.peerPort = key.peerPort;
    failed.hopLimit = packet.hopLimit;
    keepIpWords(view, packet.ipAt, packet.ipVersion, this.#ipWords, 0);
    failed.ipWords = this.#ipWords;
    failed.ipWordsAt = 0;
    failed.payloadLength = lengthBytes;
    failed.hasChecksum = hasChecksum(packet, view);
    failed.dataLength = gather(frame, offset, dataWindow, dataOffset, Math.min(lengthBytes, ERROR_DATA_BYTES));
    const v4 = isIpv4Mapped(key.peer, 0);
    const type = v4 ? IcmpType.destinationUnreachable : Icmpv6Type.destinationUnreachable;
    let code: number;
    if (v4) code = host ? IcmpUnreachable.host : IcmpUnreachable.network;
    else code = host ? Icmpv6Unreachable.address : Icmpv6Unreachable.noRoute;
    this.#write(type, code, key.peer, 0);
  }

  #report(flow: number): void {
    if (flow === -1 || !this.#concernsGuest(flow)) {
      this.#counters[UdpCounter.errorsIgnored]++;
      return;
    }
    const error = this.#error;
    const failed = this.#failed;
    const { table, hostAddress, hopLimit, ipWords, sentBytes } = this.#flows;
    failed.guest = table.guestAddress;
    failed.guestAt = 4 * flow;
    failed.guestPort = table.guestPort[flow];
    failed.peer = table.peerAddress;
    failed.peerAt = 4 * flow;
    failed.peerPort = table.peerPort[flow];
    failed.ipWords = ipWords;
    failed.ipWordsAt = IP_QUOTE_WORDS * flow;
    failed.hasChecksum = this.#flows.hasChecksum[flow] !== 0;
    failed.dataLength = Math.min(error.dataLength, error.dataCapacity);
    // Routers may quote less than there was; of what was sent the newest datagram is what most likely failed.
    failed.payloadLength = Math.max(failed.dataLength, sentBytes[flow]);
    const v4 = error.origin === ErrorOrigin.icmp;
    const expired = error.type === (v4 ? IcmpType.timeExceeded : Icmpv6Type.timeExceeded);
    failed.hopLimit = expired ? HOP_LIMIT_EXPIRED : hopLimit[flow] || HOP_LIMIT_UNKNOWN;
    const fromPeer =
      isUnspecified(error.offender, 0) ||
      equals(error.offender, 0, hostAddress, 4 * flow) ||
      isIpv4Mapped(error.offender, 0) !== v4 ||
      !this.#addressMap.toGuest(error.offender, this.#source);
    if (fromPeer) this.#write(error.type, error.code, table.peerAddress, 4 * flow);
    else this.#write(error.type, error.code, this.#source, 0);
  }

  /**
   * Unreachable and time exceeded. Not "fragmentation needed" or "packet too big": the host's kernel has learnt the
   * path's MTU and cuts the next datagram itself, while a guest that did would send fragments.
   */
  #concernsGuest(flow: number): boolean {
    const { origin, type, code } = this.#error;
    const v4 = isIpv4Mapped(this.#flows.table.peerAddress, 4 * flow);
    if (origin === ErrorOrigin.icmp && v4) {
      if (type === IcmpType.destinationUnreachable) return code !== IcmpUnreachable.fragmentationNeeded;
      return type === IcmpType.timeExceeded;
    }
    if (origin !== ErrorOrigin.icmpv6 || v4) return false;
    return type === Icmpv6Type.destinationUnreachable || type === Icmpv6Type.timeExceeded;
  }

  /** The flow that a reply through `listener` belonged to, by its destination; -1 when it is gone. */
  #flowOf(listener: number): number {
    const key = this.#key;
    const { destination, destinationPort } = this.#error;
    if (!this.#addressMap.toGuest(destination, key.peer)) return -1;
    if (!this.#listeners.completeKey(listener, destinationPort, this.#addressMap, key)) return -1;
    return this.#flows.table.find(key);
  }

  #write(type: number, code: number, source: Uint32Array, sourceAt: number): void {
    const result = this.#writer.write(this.#failed, type, code, source, sourceAt);
    this.#counters[result === 0 ? UdpCounter.errorsToGuest : UdpCounter.droppedError]++;
  }
}

/** Whether a datagram of the guest has a checksum: over IPv6 each one has (RFC 8200 section 8.1). */
export function hasChecksum(packet: Packet, view: DataView): boolean {
  return packet.ipVersion === 6 || view.getUint16(packet.l4At + Udp.checksum) !== 0;
}
