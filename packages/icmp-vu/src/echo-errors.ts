import { equals, isIpv4Mapped, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import type { FlowKey } from "@passt-ts/flow/flow-key";
import { TokenBucket } from "@passt-ts/flow/token-bucket";
import type { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { Icmp, IcmpType, IcmpUnreachable } from "@passt-ts/wire/icmp";
import { Icmpv6Type, Icmpv6Unreachable } from "@passt-ts/wire/icmpv6";
import { IP_QUOTE_WORDS, keepIpWords } from "@passt-ts/wire/ip-quote";
import type { Packet } from "@passt-ts/wire/packet";
import { EchoCounter } from "./echo-counter.ts";
import type { EchoFlows } from "./echo-flows.ts";
import { ERROR_DATA_BYTES, ERROR_DATA_OFFSET, type ErrorWriter, FailedRequest } from "./error-writer.ts";
import { ErrorOrigin, SocketError } from "./socket-error.ts";
import type { EchoSocketPort } from "./socket-port.ts";

/** Entries of an error queue taken at a time. */
const ERRORS_MAX = 16;
/** RFC 4443 section 2.4 f: a rate is a must; these are net.ipv4.icmp_msgs_per_sec and icmp_msgs_burst. */
const ERRORS_PER_SECOND = 1000;
const ERRORS_BURST = 50;
const HOP_LIMIT_EXPIRED = 1;

export interface EchoErrorsOptions {
  windows: WindowTable;
  port: EchoSocketPort;
  addressMap: AddressMap;
  flows: EchoFlows;
  writer: ErrorWriter;
  /** The scratch of {@link ErrorWriter}. */
  scratchWindow: number;
  scratchOffset: number;
  counters: Float64Array;
  nowMs: number;
}

/** Passes what became of an echo request on the host's side on to the guest, as ICMP errors. */
export class EchoErrors {
  readonly #windows: WindowTable;
  readonly #port: EchoSocketPort;
  readonly #addressMap: AddressMap;
  readonly #flows: EchoFlows;
  readonly #writer: ErrorWriter;
  readonly #counters: Float64Array;
  /** Of errors of our own; those from elsewhere come at the rate of who sent them. */
  readonly #rate: TokenBucket;
  readonly #error: SocketError;
  readonly #failed: FailedRequest = new FailedRequest();
  readonly #ipWords: Uint32Array = new Uint32Array(IP_QUOTE_WORDS);
  readonly #source: Uint32Array = new Uint32Array(4);

  constructor(options: EchoErrorsOptions) {
    this.#windows = options.windows;
    this.#port = options.port;
    this.#addressMap = options.addressMap;
    this.#flows = options.flows;
    this.#writer = options.writer;
    this.#counters = options.counters;
    this.#rate = new TokenBucket(ERRORS_PER_SECOND, ERRORS_BURST, options.nowMs);
    const dataOffset = options.scratchOffset + ERROR_DATA_OFFSET;
    this.#error = new SocketError(options.scratchWindow, dataOffset, ERROR_DATA_BYTES);
  }

  /** Takes entries off the error queue of `flow`'s socket; true when it stopped before the queue was empty. */
  drain(socket: number, flow: number): boolean {
    for (let i = 0; i < ERRORS_MAX; i++) {
      if (this.#port.takeError(socket, this.#error) <= 0) return false;
      this.#report(flow);
    }
    return true;
  }

  /**
   * Answers a request that no socket could be opened for, as a router without a route does.
   *
   * @param key the request's flow.
   * @param packet its headers, which stand in `view`.
   * @param offset where the request's data of `lengthBytes` bytes begins in `frame`.
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
      this.#counters[EchoCounter.droppedError]++;
      return;
    }
    const v4 = isIpv4Mapped(key.peer, 0);
    const { dataWindow, dataOffset } = this.#error;
    const failed = this.#failed;
    const header = this.#windows.views[dataWindow];
    for (let i = 0; i < Icmp.headerBytes; i++) header.setUint8(dataOffset + i, view.getUint8(packet.l4At + i));
    const wanted = Math.min(lengthBytes, ERROR_DATA_BYTES - Icmp.headerBytes);
    const gathered = gather(frame, offset, dataWindow, dataOffset + Icmp.headerBytes, wanted);
    failed.key.setWords(key.protocol, key.guest, 0, key.peer, 0, key.guestPort, 0);
    failed.hopLimit = packet.hopLimit;
    keepIpWords(view, packet.ipAt, packet.ipVersion, this.#ipWords, 0);
    failed.ipWords = this.#ipWords;
    failed.ipWordsAt = 0;
    failed.messageLength = packet.l4Length;
    failed.dataLength = Icmp.headerBytes + gathered;
    const type = v4 ? IcmpType.destinationUnreachable : Icmpv6Type.destinationUnreachable;
    let code: number;
    if (v4) code = host ? IcmpUnreachable.host : IcmpUnreachable.network;
    else code = host ? Icmpv6Unreachable.address : Icmpv6Unreachable.noRoute;
    this.#count(this.#writer.write(failed, type, code, failed.key.peer, 0));
  }

  #report(flow: number): void {
    const error = this.#error;
    const failed = this.#failed;
    const { key } = failed;
    const { table, hostAddress, hopLimit, ipWords, sentBytes } = this.#flows;
    const v4 = isIpv4Mapped(table.peerAddress, 4 * flow);
    // Without the header that came back there is no sequence number to quote.
    if (error.dataLength < Icmp.headerBytes || !concernsGuest(error, v4)) {
      this.#counters[EchoCounter.errorsIgnored]++;
      return;
    }
    key.setWords(
      table.protocol[flow],
      table.guestAddress,
      4 * flow,
      table.peerAddress,
      4 * flow,
      table.guestPort[flow],
      0,
    );
    const expired = error.type === (v4 ? IcmpType.timeExceeded : Icmpv6Type.timeExceeded);
    failed.hopLimit = expired ? HOP_LIMIT_EXPIRED : hopLimit[flow];
    failed.ipWords = ipWords;
    failed.ipWordsAt = IP_QUOTE_WORDS * flow;
    failed.dataLength = Math.min(error.dataLength, error.dataCapacity);
    // Routers may quote less than there was; of what was sent the newest request is what most likely failed.
    failed.messageLength = Math.max(failed.dataLength, sentBytes[flow]);
    const fromPeer =
      isUnspecified(error.offender, 0) ||
      equals(error.offender, 0, hostAddress, 4 * flow) ||
      isIpv4Mapped(error.offender, 0) !== v4 ||
      !this.#addressMap.toGuest(error.offender, this.#source);
    const source = fromPeer ? key.peer : this.#source;
    this.#count(this.#writer.write(failed, error.type, error.code, source, 0));
  }

  #count(result: number): void {
    this.#counters[result === 0 ? EchoCounter.errorsToGuest : EchoCounter.droppedError]++;
  }
}

/** Unreachable and time exceeded; the host's kernel deals with path MTU messages itself. */
function concernsGuest(error: SocketError, v4: boolean): boolean {
  const { origin, type, code } = error;
  if (origin === ErrorOrigin.icmp && v4) {
    if (type === IcmpType.destinationUnreachable) return code !== IcmpUnreachable.fragmentationNeeded;
    return type === IcmpType.timeExceeded;
  }
  if (origin !== ErrorOrigin.icmpv6 || v4) return false;
  return type === Icmpv6Type.destinationUnreachable || type === Icmpv6Type.timeExceeded;
}
