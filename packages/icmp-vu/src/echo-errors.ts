import { equals, isIpv4Mapped, isUnspecified } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { FlowKey } from "@passt-ts/flow/flow-key";
import type { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { Icmp, IcmpType, IcmpUnreachable, setIcmpChecksum, writeIcmpEcho } from "@passt-ts/wire/icmp";
import { Icmpv6Type, Icmpv6Unreachable } from "@passt-ts/wire/icmpv6";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { EchoCounter } from "./echo-counter.ts";
import type { EchoFlows } from "./echo-flows.ts";
import { ERROR_DATA_BYTES, ERROR_DATA_OFFSET, type ErrorWriter } from "./error-writer.ts";
import { ErrorOrigin, SocketError } from "./socket-error.ts";
import type { EchoSocketPort } from "./socket-port.ts";

/** Entries of an error queue taken at a time. */
const ERRORS_MAX = 16;
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
}

/** Passes what became of an echo request on the host's side on to the guest, as ICMP errors. */
export class EchoErrors {
  readonly #windows: WindowTable;
  readonly #port: EchoSocketPort;
  readonly #addressMap: AddressMap;
  readonly #flows: EchoFlows;
  readonly #writer: ErrorWriter;
  readonly #counters: Float64Array;
  readonly #error: SocketError;
  readonly #key: FlowKey = new FlowKey();
  readonly #source: Uint32Array = new Uint32Array(4);

  constructor(options: EchoErrorsOptions) {
    this.#windows = options.windows;
    this.#port = options.port;
    this.#addressMap = options.addressMap;
    this.#flows = options.flows;
    this.#writer = options.writer;
    this.#counters = options.counters;
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
   * @param offset where the request's data of `lengthBytes` bytes begins in `frame`.
   */
  unreachable(
    key: FlowKey,
    hopLimit: number,
    sequence: number,
    frame: Iov,
    offset: number,
    lengthBytes: number,
    host: boolean,
  ): void {
    const v4 = isIpv4Mapped(key.peer, 0);
    const { dataWindow, dataOffset } = this.#error;
    const view = this.#windows.views[dataWindow];
    const dataAt = writeIcmpEcho(
      view,
      dataOffset,
      v4 ? IcmpType.echoRequest : Icmpv6Type.echoRequest,
      key.guestPort,
      sequence,
    );
    const wanted = Math.min(lengthBytes, ERROR_DATA_BYTES - Icmp.headerBytes);
    const end = dataAt + gather(frame, offset, dataWindow, dataAt, wanted);
    const length = end - dataOffset;
    const pseudo = v4 ? 0 : pseudoHeader6(key.guest, 0, key.peer, 0, IpProtocol.icmpv6, length);
    setIcmpChecksum(view, dataOffset, checksumBytes(view, dataOffset, end, pseudo));
    const type = v4 ? IcmpType.destinationUnreachable : Icmpv6Type.destinationUnreachable;
    let code: number;
    if (v4) code = host ? IcmpUnreachable.host : IcmpUnreachable.network;
    else code = host ? Icmpv6Unreachable.address : Icmpv6Unreachable.noRoute;
    this.#count(this.#writer.write(key, type, code, key.peer, 0, hopLimit, length));
  }

  #report(flow: number): void {
    const error = this.#error;
    const { table, hostAddress, hopLimit } = this.#flows;
    const v4 = isIpv4Mapped(table.peerAddress, 4 * flow);
    // Without the header that came back there is no sequence number to quote.
    if (error.dataLength < Icmp.headerBytes || !concernsGuest(error, v4)) {
      this.#counters[EchoCounter.errorsIgnored]++;
      return;
    }
    const key = this.#key;
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
    const quotedHopLimit = expired ? HOP_LIMIT_EXPIRED : hopLimit[flow];
    const fromPeer =
      isUnspecified(error.offender, 0) ||
      equals(error.offender, 0, hostAddress, 4 * flow) ||
      isIpv4Mapped(error.offender, 0) !== v4 ||
      !this.#addressMap.toGuest(error.offender, this.#source);
    const source = fromPeer ? key.peer : this.#source;
    const dataLength = Math.min(error.dataLength, error.dataCapacity);
    this.#count(this.#writer.write(key, error.type, error.code, source, 0, quotedHopLimit, dataLength));
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
