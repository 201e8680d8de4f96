import { appendRange, type Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { DatagramBatch } from "./datagram-batch.ts";
import { Errno, type UdpSocketPort } from "./socket-port.ts";
import { UdpCounter } from "./udp-counter.ts";
import { CONNECTED, type UdpFlows } from "./udp-flows.ts";

/** Room for the one datagram that has to be copied together. */
export const FLATTEN_BYTES = 65536;

/**
 * Datagrams that one frame of the guest may stand for: what Linux makes at most (UDP_MAX_SEGMENTS, linux/udp.h). A gso_size
 * of 1 would cost 65,000 of them.
 */
const SEGMENTS_MAX = 128;

export interface UdpSenderOptions {
  windows: WindowTable;
  port: UdpSocketPort;
  flows: UdpFlows;
  /** {@link FLATTEN_BYTES} bytes that the sender owns. */
  flattenWindow: number;
  flattenOffset: number;
  /** Datagrams of one call at most. */
  batchCapacity: number;
  counters: Float64Array;
  /** A send on the socket of `flow` failed; its error queue may say why. */
  socketFailed: (flow: number) => void;
}

/**
 * Collects consecutive datagrams of one socket and sends them in one call, straight from the guest's memory.
 *
 * What is collected borrows the guest's buffers until {@link flush}.
 */
export class UdpSender {
  readonly #port: UdpSocketPort;
  readonly #flows: UdpFlows;
  readonly #batch: DatagramBatch;
  readonly #flattenWindow: number;
  readonly #flattenOffset: number;
  readonly #counters: Float64Array;
  readonly #socketFailed: (flow: number) => void;
  /** Socket and newest flow of the batch. */
  #socket = -1;
  #flow = -1;

  constructor(options: UdpSenderOptions) {
    this.#port = options.port;
    this.#flows = options.flows;
    this.#batch = new DatagramBatch(options.windows, options.batchCapacity);
    this.#flattenWindow = options.flattenWindow;
    this.#flattenOffset = options.flattenOffset;
    this.#counters = options.counters;
    this.#socketFailed = options.socketFailed;
  }

  /**
   * Adds the `lengthBytes` bytes of `frame` from `offset` on as datagrams of `flow`, of `segmentBytes` bytes each, the last
   * may be shorter; 0: as one. False when they are not there, or more than {@link SEGMENTS_MAX}.
   */
  addJoined(flow: number, frame: Iov, offset: number, lengthBytes: number, segmentBytes: number): boolean {
    if (segmentBytes === 0 || segmentBytes >= lengthBytes) return this.add(flow, frame, offset, lengthBytes);
    if (lengthBytes > segmentBytes * SEGMENTS_MAX) return false;
    for (let done = 0; done < lengthBytes; done += segmentBytes) {
      if (!this.add(flow, frame, offset + done, Math.min(segmentBytes, lengthBytes - done))) return false;
    }
    return true;
  }

  /** Adds the `lengthBytes` bytes of `frame` from `offset` on as one datagram of `flow`; false when they are not there. */
  add(flow: number, frame: Iov, offset: number, lengthBytes: number): boolean {
    const batch = this.#batch;
    const socket = this.#flows.socket[flow];
    if (socket !== this.#socket || batch.count === batch.capacity) this.flush();
    let first = batch.pool.count;
    let covered = appendRange(batch.pool, frame, offset, lengthBytes);
    if (covered < 0 && batch.count > 0) {
      this.flush();
      first = 0;
      covered = appendRange(batch.pool, frame, offset, lengthBytes);
    }
    if (covered < 0) covered = this.#flatten(frame, offset, lengthBytes);
    if (covered !== lengthBytes) {
      batch.pool.truncate(first);
      return false;
    }
    const index = batch.count;
    batch.firstEntry[index] = first;
    batch.entryCount[index] = batch.pool.count - first;
    batch.lengthBytes[index] = lengthBytes;
    batch.addressed = this.#flows.listener[flow] !== CONNECTED;
    if (batch.addressed) this.#address(index, flow);
    batch.count = index + 1;
    this.#socket = socket;
    this.#flow = flow;
    return true;
  }

  /** Sends what was collected; what cannot be sent is dropped and counted, and no buffer is needed any more. */
  flush(): void {
    const batch = this.#batch;
    let from = 0;
    let failures = 0;
    while (from < batch.count) {
      this.#counters[UdpCounter.sendCalls]++;
      const sent = this.#port.sendBatch(this.#socket, batch, from);
      if (sent > 0) {
        this.#countSent(from, sent);
        from += sent;
        failures = 0;
      } else if (sent === -Errno.EAGAIN) {
        this.#counters[UdpCounter.droppedSendBufferFull] += batch.count - from;
        break;
      } else {
        // The first failure may tell of an earlier datagram (an ICMP error that came back): this one did not go yet.
        if (failures++ === 0) this.#socketFailed(this.#flow);
        else {
          this.#counters[UdpCounter.droppedSendFailed]++;
          from++;
          failures = 0;
        }
      }
    }
    this.clear();
  }

  /** Forgets what was collected. */
  clear(): void {
    this.#batch.clear();
    this.#socket = -1;
  }

  #countSent(from: number, sent: number): void {
    this.#counters[UdpCounter.datagramsToHost] += sent;
    let bytes = 0;
    for (let i = from; i < from + sent; i++) bytes += this.#batch.lengthBytes[i];
    this.#counters[UdpCounter.bytesToHost] += bytes;
  }

  #address(index: number, flow: number): void {
    const batch = this.#batch;
    const flows = this.#flows;
    for (let i = 0; i < 4; i++) {
      batch.address[4 * index + i] = flows.hostAddress[4 * flow + i];
      batch.localAddress[4 * index + i] = flows.localAddress[4 * flow + i];
    }
    batch.port[index] = flows.table.peerPort[flow];
    batch.scope[index] = flows.scope[flow];
  }

  /** Copies a datagram of more pieces than a system call takes into one piece. The batch is empty here, so
   * the one place for it is free. */
  #flatten(frame: Iov, offset: number, lengthBytes: number): number {
    if (lengthBytes > FLATTEN_BYTES) return -1;
    this.#counters[UdpCounter.flattened]++;
    const covered = gather(frame, offset, this.#flattenWindow, this.#flattenOffset, lengthBytes);
    this.#batch.pool.append(this.#flattenWindow, this.#flattenOffset, covered);
    return covered;
  }
}
