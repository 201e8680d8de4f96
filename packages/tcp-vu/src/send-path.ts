import { appendRange, Iov, IovPool } from "@passt-ts/iov/iov";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import { TcpFlag } from "@passt-ts/wire/tcp";
import { acknowledgmentWaitMs, type Connection, State } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import { headerBytesOf, type SegmentBuilder, windowField } from "./segment-builder.ts";
import { seqAdd, seqDiff, seqMax } from "./sequence.ts";
import { SocketError, type TcpSocketPort } from "./socket-port.ts";
import type { Teardown } from "./teardown.ts";

/** Payload entries of one receive: below the 1024 of a system call, so that a port can add its own for a skip. */
const PAYLOAD_ENTRIES = 1000;
/** The shortest payload that a driver's buffers may force on a flow. */
const MSS_MIN = 64;

/**
 * Host to guest: frames are reserved, one peek fills the payload areas of all of them, and those that got payload are
 * committed, each with its own length.
 *
 * Payload stays in the socket's queue until the guest has acknowledged it, so sending again is peeking again.
 */
export class SendPath {
  readonly #store: ConnectionStore;
  readonly #port: TcpSocketPort;
  readonly #sink: RxSink;
  readonly #builder: SegmentBuilder;
  readonly #teardown: Teardown;
  readonly #counters: Float64Array;
  readonly #burstBytes: number;
  readonly #payload: IovPool;
  readonly #payloadIov: Iov;
  readonly #frame: Iov;
  /** What {@link SendPath.#reserve} got: payload bytes, frames, and why it stopped (0: it has all it wanted). */
  #reservedBytes = 0;
  #firstFrame = 0;
  #refused = 0;
  /** The ring gave no room in this turn: nobody else needs to ask. */
  roomExhausted = false;

  /** @param burstBytes payload that one flow may send before the next one has its turn. */
  constructor(
    store: ConnectionStore,
    port: TcpSocketPort,
    sink: RxSink,
    builder: SegmentBuilder,
    teardown: Teardown,
    counters: Float64Array,
    burstBytes: number,
  ) {
    this.#store = store;
    this.#port = port;
    this.#sink = sink;
    this.#builder = builder;
    this.#teardown = teardown;
    this.#counters = counters;
    this.#burstBytes = burstBytes;
    this.#payload = new IovPool(sink.frames.pool.windows, PAYLOAD_ENTRIES);
    this.#payloadIov = new Iov(this.#payload);
    this.#frame = new Iov(sink.frames.pool);
  }

  /**
   * Sends what one ready flow has, up to a burst, and leaves the flow on the list where it belongs: ready when it may
   * have more.
   *
   * Returns the payload bytes sent.
   */
  serve(connection: Connection, nowMs: number): number {
    let sent = 0;
    // The rest of a burst that holds no whole segment is not worth a call.
    while (this.#burstBytes - sent >= Math.min(connection.mss, this.#burstBytes)) {
      if (!this.#maySend(connection, nowMs)) return sent;
      const bytes = this.#burst(connection, this.#burstBytes - sent, nowMs);
      if (bytes <= 0) return sent;
      sent += bytes;
      if (connection.drained === 1 && connection.readToEnd === 0) {
        // A short peek emptied the queue, and what comes from now on is an event.
        this.#store.lists.remove(connection.flow);
        return sent;
      }
    }
    this.#store.lists.remove(connection.flow);
    this.#store.lists.append(List.ready, connection.flow);
    return sent;
  }

  /** Room that the guest's window leaves, in bytes; 0 or less when it is full. */
  usable(connection: Connection): number {
    const inFlight = seqDiff(connection.sndNxt, connection.sndUna);
    const usable = connection.sndWnd - inFlight;
    // Rather wait for an acknowledgment than cut the stream into small segments (RFC 9293 section 3.8.6.2.1).
    if (inFlight > 0 && usable < connection.mss && usable < connection.maxWnd >>> 1) return 0;
    return usable;
  }

  /** Begins to send again from the first byte that the guest has not acknowledged. */
  rewind(connection: Connection): void {
    connection.sndNxt = connection.sndUna;
    connection.drained = 0;
    if (this.#store.lists.listOf(connection.flow) !== List.waitsForRoom) {
      this.#store.lists.append(List.ready, connection.flow);
    }
  }

  /** Starts the retransmission timer when it does not run. */
  startTimer(connection: Connection, nowMs: number): void {
    const { timers } = this.#store;
    if (timers.scheduledMs(connection.flow) !== Infinity) return;
    timers.schedule(connection.flow, nowMs + acknowledgmentWaitMs(connection));
  }

  /** Whether payload can be asked for now; moves the flow to another list when not. */
  #maySend(connection: Connection, nowMs: number): boolean {
    const { lists } = this.#store;
    const { flow } = connection;
    if (connection.state !== State.established) {
      lists.remove(flow);
      return false;
    }
    if (connection.hostEof === 1) {
      const left = seqDiff(connection.eofSeq, connection.sndNxt);
      if (left === 0) this.#sendFin(connection, nowMs);
      else if (left < 0) lists.remove(flow);
      if (left <= 0) return false;
    }
    if (this.usable(connection) <= 0 && connection.probeBytes === 0) {
      lists.append(List.waitsForWindow, flow);
      this.#counters[TcpCounter.waitsForWindow]++;
      this.startTimer(connection, nowMs);
      return false;
    }
    if (this.roomExhausted || !this.#sink.ready) {
      this.#waitForRoom(connection);
      return false;
    }
    return true;
  }

  #waitForRoom(connection: Connection): void {
    this.roomExhausted = true;
    this.#store.lists.append(List.waitsForRoom, connection.flow);
    this.#counters[TcpCounter.waitsForRoom]++;
  }

  #sendFin(connection: Connection, nowMs: number): void {
    this.#builder.selectFlow(connection);
    const { eofSeq, ackSent } = connection;
    const sent = this.#builder.sendEmpty(eofSeq, ackSent, TcpFlag.fin | TcpFlag.ack, windowField(connection));
    if (sent < 0) {
      if (sent === Refused.tooLong) this.#teardown.abort(connection, nowMs);
      else this.#waitForRoom(connection);
      return;
    }
    this.#store.lists.remove(connection.flow);
    connection.sndNxt = seqAdd(eofSeq, 1);
    connection.sndMax = seqMax(connection.sndMax, connection.sndNxt);
    this.startTimer(connection, nowMs);
    if (connection.guestFin === 1) this.#store.startClosing(connection, nowMs);
  }

  /** Payload bytes of one frame: a segment, or as many as the driver takes in one frame with a gso_size. */
  #framePayloadBytes(connection: Connection): number {
    const { mss, ipVersion } = connection;
    const bytesMax = ipVersion === 4 ? this.#sink.segmentationBytesMax4 : this.#sink.segmentationBytesMax6;
    const segments = Math.floor((bytesMax - headerBytesOf(ipVersion)) / mss);
    return segments > 1 ? segments * mss : mss;
  }

  /** One peek into frames of at most `budgetBytes` payload: the bytes sent; 0 or less when the flow has to wait. */
  #burst(connection: Connection, budgetBytes: number, nowMs: number): number {
    const usable = this.usable(connection);
    const allowed = usable > 0 ? usable : connection.probeBytes;
    let frameBytes = this.#framePayloadBytes(connection);
    let wanted = Math.min(allowed, connection.drained === 1 ? connection.mss : Math.max(frameBytes, budgetBytes));
    // Whole segments only: the rest of the window is worth waiting for.
    if (wanted > connection.mss) wanted -= wanted % connection.mss;
    frameBytes = this.#reserve(headerBytesOf(connection.ipVersion), frameBytes, connection.mss, wanted);
    if (this.#reservedBytes === 0) return this.#withoutFrames(connection, nowMs);
    const skip = seqDiff(connection.sndNxt, connection.sndUna) + connection.consumeBytes;
    const bytes = this.#peek(connection, skip);
    if (bytes <= 0) {
      this.#sink.giveBack(this.#firstFrame);
      return this.#withoutPayload(connection, bytes, nowMs);
    }
    connection.peekedBytes = skip + bytes;
    connection.drained = bytes < this.#reservedBytes ? 1 : 0;
    connection.probeBytes = 0;
    this.#commit(connection, frameBytes, bytes);
    connection.sndNxt = seqAdd(connection.sndNxt, bytes);
    connection.sndMax = seqMax(connection.sndMax, connection.sndNxt);
    this.#counters[TcpCounter.bytesOut] += bytes;
    this.startTimer(connection, nowMs);
    return bytes;
  }

  /**
   * Reserves frames for `wanted` bytes and points the payload list at their payload areas. Returns the payload bytes of
   * one frame: fewer segments than asked for when these lie in more entries than one call takes.
   */
  #reserve(headerBytes: number, frameBytes: number, mss: number, wanted: number): number {
    const sink = this.#sink;
    const { frames } = sink;
    const payload = this.#payload;
    payload.count = 0;
    this.#reservedBytes = 0;
    this.#refused = 0;
    let bytes = 0;
    while (bytes < wanted) {
      const take = Math.min(frameBytes, wanted - bytes);
      const index = sink.reserve(headerBytes + take);
      if (index < 0) {
        this.#refused = index;
        break;
      }
      if (bytes === 0) this.#firstFrame = index;
      frames.select(index, this.#frame);
      if (appendRange(payload, this.#frame, frames.offset[index] + headerBytes, take) !== take) {
        sink.giveBack(index);
        if (bytes === 0 && take > mss) {
          frameBytes = mss * Math.max(1, Math.floor(take / mss / 2));
          continue;
        }
        // More entries than one call takes: the frames before this one go now.
        this.#refused = Refused.tooLong;
        break;
      }
      bytes += take;
    }
    this.#reservedBytes = bytes;
    return frameBytes;
  }

  #peek(connection: Connection, skip: number): number {
    const port = this.#port;
    const { socket } = connection;
    this.#counters[TcpCounter.peeks]++;
    if (port.peekOffset && connection.peekedBytes !== skip) {
      const result = port.setPeekOffset(socket, skip);
      if (result < 0) return result;
      connection.peekedBytes = skip;
    }
    return port.peek(socket, this.#payloadIov.select(0, this.#payload.count), 0, this.#reservedBytes, skip);
  }

  /** Commits the frames that `bytes` bytes of payload fill, and gives the others back. */
  #commit(connection: Connection, frameBytes: number, bytes: number): void {
    const sink = this.#sink;
    const first = this.#firstFrame;
    const used = Math.ceil(bytes / frameBytes);
    if (used * frameBytes < this.#reservedBytes) sink.giveBack(first + used);
    const window = windowField(connection);
    this.#builder.selectFlow(connection);
    let sequence = connection.sndNxt;
    for (let i = 0; i < used; i++) {
      const isLast = i === used - 1;
      const take = isLast ? bytes - i * frameBytes : frameBytes;
      const flags = isLast ? TcpFlag.ack | TcpFlag.psh : TcpFlag.ack;
      this.#builder.commit(first + i, sequence, connection.ackSent, flags, window, take);
      sequence = seqAdd(sequence, take);
    }
  }

  /** Nothing could be reserved: waits for room, or goes on with shorter frames. */
  #withoutFrames(connection: Connection, nowMs: number): number {
    if (this.#refused !== Refused.tooLong) {
      this.#waitForRoom(connection);
      return 0;
    }
    this.#counters[TcpCounter.framesTooLong]++;
    if (connection.mss <= MSS_MIN) this.#teardown.abort(connection, nowMs);
    else connection.mss = Math.max(MSS_MIN, connection.mss >>> 1);
    // The flow is on the ready list still and has its next turn.
    return 0;
  }

  /** The peek brought no payload: the end of the stream, nothing now, or a failure. */
  #withoutPayload(connection: Connection, result: number, nowMs: number): number {
    connection.drained = 0;
    if (result === 0) {
      connection.hostEof = 1;
      connection.eofSeq = connection.sndNxt;
      connection.probeBytes = 0;
      this.#sendFin(connection, nowMs);
    } else if (result === SocketError.again) {
      connection.probeBytes = 0;
      this.#store.lists.remove(connection.flow);
    } else if (result !== SocketError.interrupted) {
      this.#counters[TcpCounter.resetByHost]++;
      this.#teardown.abort(connection, nowMs);
    }
    return 0;
  }
}
