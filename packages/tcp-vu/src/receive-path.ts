import { appendRange, Iov, IovPool } from "@passt-ts/iov/iov";
import { TcpFlag } from "@passt-ts/wire/tcp";
import { type Connection, isFinSent, State } from "./connection.ts";
import type { ConnectionStore } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import type { Segment } from "./segment.ts";
import { seqAdd, seqDiff } from "./sequence.ts";
import { SocketError, type TcpSocketPort } from "./socket-port.ts";
import type { Teardown } from "./teardown.ts";

/** Entries that one system call takes. */
const CALL_ENTRIES_MAX = 1024;
/** Acknowledgments that report a gap: two identical ones. */
const GAP_REPORTS = 2;

/**
 * Guest to host: collects the payload of a batch, in place, for each flow, and sends it with one call for each flow.
 *
 * What the send buffer does not take is dropped, and never acknowledged: the guest sends it again.
 */
export class ReceivePath {
  readonly #store: ConnectionStore;
  readonly #port: TcpSocketPort;
  readonly #teardown: Teardown;
  readonly #counters: Float64Array;
  /** Payload entries of the batch, in order of arrival; the entries of one flow may lie apart. */
  readonly #collected: IovPool;
  readonly #run: IovPool;
  readonly #iov: Iov;
  readonly #runIov: Iov;
  readonly #firstEntry: Int32Array;
  readonly #entryCount: Int32Array;
  readonly #bytes: Int32Array;
  readonly #next: Int32Array;
  #segments = 0;

  /**
   * @param collected pool of the receive path's own; what fits into it is the most that is collected in one go.
   * @param segmentCapacity the same in segments.
   */
  constructor(
    store: ConnectionStore,
    port: TcpSocketPort,
    teardown: Teardown,
    counters: Float64Array,
    collected: IovPool,
    segmentCapacity: number,
  ) {
    this.#store = store;
    this.#port = port;
    this.#teardown = teardown;
    this.#counters = counters;
    this.#collected = collected;
    this.#run = new IovPool(collected.windows, CALL_ENTRIES_MAX);
    this.#iov = new Iov(collected);
    this.#runIov = new Iov(this.#run);
    this.#firstEntry = new Int32Array(segmentCapacity);
    this.#entryCount = new Int32Array(segmentCapacity);
    this.#bytes = new Int32Array(segmentCapacity);
    this.#next = new Int32Array(segmentCapacity);
  }

  /** Takes payload and FIN of a segment of an established connection, as far as they are new and in order. */
  accept(connection: Connection, segment: Segment, frame: Iov, frameOffset: number, nowMs: number): void {
    let bytes = segment.payloadBytes;
    let fin = segment.flags & TcpFlag.fin;
    let offset = frameOffset + segment.payloadOffset;
    const known = seqDiff(connection.rcvQueued, segment.sequence);
    if (known < 0) {
      if (bytes + fin > 0) this.#reportGap(connection);
      return;
    }
    if (known > 0) {
      if (known >= bytes + fin) {
        // Old: a resend whose acknowledgment was lost, a keepalive or a window probe. All want an answer.
        this.#counters[TcpCounter.duplicate]++;
        if (connection.ackDue === 0) connection.ackDue = 1;
        return;
      }
      offset += known;
      bytes -= known;
    }
    // Nothing can follow the guest's FIN.
    if (connection.guestFin === 1 || connection.finQueued === 1) bytes = fin = 0;
    if (bytes > 0 && !this.#collect(connection, frame, offset, bytes, nowMs)) return;
    if (fin === 1) {
      connection.finQueued = 1;
      connection.rcvQueued = seqAdd(connection.rcvQueued, 1);
    }
  }

  /** Sends what was collected for one connection. */
  flush(connection: Connection, nowMs: number): void {
    if (connection.state !== State.established) return;
    if (connection.firstSegment !== -1) this.#flushPayload(connection, nowMs);
    if (connection.finQueued === 0 || connection.state !== State.established) return;
    connection.finQueued = 0;
    connection.guestFin = 1;
    connection.rcvNxt = connection.rcvQueued;
    if (connection.ackDue === 0) connection.ackDue = 1;
    if (isFinSent(connection)) this.#store.startClosing(connection, nowMs);
    // An error means that the connection is gone already: its event comes.
    if (this.#port.shutdownWrite(connection.socket) < 0) this.#counters[TcpCounter.socketErrors]++;
  }

  /** All that was collected was sent: the buffers belong to others now. */
  clear(): void {
    this.#collected.count = 0;
    this.#segments = 0;
  }

  #reportGap(connection: Connection): void {
    this.#counters[TcpCounter.outOfOrder]++;
    if (connection.gapReported === 1) return;
    connection.gapReported = 1;
    connection.ackDue = GAP_REPORTS;
  }

  #collect(connection: Connection, frame: Iov, offset: number, bytes: number, nowMs: number): boolean {
    let first = this.#collected.count;
    let taken = this.#segments === this.#next.length ? -1 : appendRange(this.#collected, frame, offset, bytes);
    if (taken < 0) {
      const expected = connection.rcvQueued;
      this.#flushAll(nowMs);
      if (connection.state !== State.established) return false;
      if (connection.rcvQueued !== expected) {
        // Of what lies in front of this segment the socket refused some: it does not follow any more.
        this.#counters[TcpCounter.bytesRefused] += bytes;
        return false;
      }
      first = 0;
      taken = appendRange(this.#collected, frame, offset, bytes);
    }
    if (taken !== bytes) {
      // Fewer entries than one frame has, or a frame shorter than its headers say.
      this.#collected.truncate(first);
      this.#counters[TcpCounter.malformed]++;
      return false;
    }
    const index = this.#segments++;
    this.#firstEntry[index] = first;
    this.#entryCount[index] = this.#collected.count - first;
    this.#bytes[index] = bytes;
    this.#next[index] = -1;
    if (connection.firstSegment === -1) connection.firstSegment = index;
    else this.#next[connection.lastSegment] = index;
    connection.lastSegment = index;
    connection.rcvQueued = seqAdd(connection.rcvQueued, bytes);
    return true;
  }

  #flushAll(nowMs: number): void {
    const { touched, touchedCount, connections } = this.#store;
    for (let i = 0; i < touchedCount; i++) {
      const connection = connections[touched[i]];
      if (connection.firstSegment !== -1) this.#flushPayload(connection, nowMs);
    }
    this.clear();
  }

  #flushPayload(connection: Connection, nowMs: number): void {
    let wanted = 0;
    let entries = 0;
    let isOnePiece = true;
    const first = this.#firstEntry[connection.firstSegment];
    for (let i = connection.firstSegment; i !== -1; i = this.#next[i]) {
      wanted += this.#bytes[i];
      if (this.#firstEntry[i] !== first + entries) isOnePiece = false;
      entries += this.#entryCount[i];
    }
    let taken: number;
    if (isOnePiece && entries <= CALL_ENTRIES_MAX) {
      taken = this.#send(connection, this.#iov.select(first, entries), wanted);
    } else taken = this.#sendGathered(connection);
    connection.firstSegment = -1;
    connection.lastSegment = -1;
    if (taken < 0) {
      this.#counters[TcpCounter.socketErrors]++;
      this.#counters[TcpCounter.resetByHost]++;
      this.#teardown.abort(connection, nowMs);
      return;
    }
    this.#counters[TcpCounter.bytesIn] += taken;
    if (taken > 0) {
      connection.rcvNxt = seqAdd(connection.rcvNxt, taken);
      connection.gapReported = 0;
      connection.lost = 0;
    }
    if (taken < wanted) {
      this.#counters[TcpCounter.bytesRefused] += wanted - taken;
      connection.finQueued = 0;
      connection.rcvQueued = connection.rcvNxt;
      connection.lost = 1;
      connection.blocked = 1;
      if (connection.ackDue === 0) connection.ackDue = 1;
    }
  }

  /** Sends collected segments that lie apart, as many entries at a time as a call takes. */
  #sendGathered(connection: Connection): number {
    const { window, offset, length } = this.#collected;
    const run = this.#run;
    run.count = 0;
    let bytes = 0;
    let total = 0;
    for (let i = connection.firstSegment; i !== -1; i = this.#next[i]) {
      const end = this.#firstEntry[i] + this.#entryCount[i];
      for (let entry = this.#firstEntry[i]; entry < end; entry++) {
        if (run.count === CALL_ENTRIES_MAX) {
          const taken = this.#send(connection, this.#runIov.select(0, run.count), bytes);
          if (taken < bytes) return taken < 0 ? taken : total + taken;
          total += taken;
          run.count = 0;
          bytes = 0;
        }
        run.append(window[entry], offset[entry], length[entry]);
        bytes += length[entry];
      }
    }
    const taken = this.#send(connection, this.#runIov.select(0, run.count), bytes);
    return taken < 0 ? taken : total + taken;
  }

  /** One send: the bytes taken, fewer when the buffer is full; negative when the connection has failed. */
  #send(connection: Connection, iov: Iov, bytes: number): number {
    this.#counters[TcpCounter.sends]++;
    let taken = this.#port.send(connection.socket, iov, 0, bytes);
    if (taken === SocketError.interrupted) taken = this.#port.send(connection.socket, iov, 0, bytes);
    if (taken >= 0) return taken;
    if (taken === SocketError.again) return 0;
    // The peer reads no more, but may still send: its reset, if one comes, is an event.
    return taken === SocketError.brokenPipe ? bytes : taken;
  }
}
