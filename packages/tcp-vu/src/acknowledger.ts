import { Refused } from "@passt-ts/net-backend/rx-sink";
import { TcpFlag } from "@passt-ts/wire/tcp";
import { acceptableSequence, type Connection, State } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import type { SegmentBuilder } from "./segment-builder.ts";
import { type Seq, seqAdd, seqDiff, seqMax } from "./sequence.ts";
import { SendBuffer, type TcpSocketPort } from "./socket-port.ts";

/** The shift that we offer, and the largest window, which it allows. */
export const OFFERED_WINDOW_SCALE = 8;
const WINDOW_MAX = 0xffff << OFFERED_WINDOW_SCALE;
/** How long an acknowledgment owed, or a window found too small, waits before it is looked at again, in ms. */
const ACK_INTERVAL_MS = 10;
/** What is left of the window that the guest knows, in bytes, with which it does not wait for more. */
const ROOM_BYTES = 4096;

/**
 * Decides what is acknowledged to the guest and which window it gets, and sends it.
 *
 * Acknowledged is what the host's kernel took, when the peer is local or the guest has closed; otherwise what the
 * peer's kernel has acknowledged, looked up at each batch of the guest's and every 10 ms while some is owed.
 *
 * The window is the room in the socket's send buffer, so that what the guest may send can be taken. The peer's own
 * window needs no look: when it closes, the send buffer fills. A window that got small is followed by a writable event
 * of the socket or, where the kernel calls it writable all the same, by the timer: a window that opens is announced.
 */
export class Acknowledger {
  readonly #store: ConnectionStore;
  readonly #port: TcpSocketPort;
  readonly #builder: SegmentBuilder;
  readonly #buffer: SendBuffer = new SendBuffer();
  /** The last look at the window found it small and no event will tell when it grows. */
  #mustPoll = false;
  /** It found the send buffer empty: the window stays what it is until the guest sends. */
  #isEmpty = false;

  constructor(store: ConnectionStore, port: TcpSocketPort, builder: SegmentBuilder) {
    this.#store = store;
    this.#port = port;
    this.#builder = builder;
  }

  /** The first window, in bytes: what a SYN can announce, unscaled. */
  firstWindow(connection: Connection): number {
    if (this.#port.sendBuffer(connection.socket, this.#buffer) < 0) return 0;
    return Math.min(0xffff, this.#buffer.sizeBytes - this.#buffer.queuedBytes);
  }

  /**
   * Sends an acknowledgment when one is due, when more can be acknowledged than was, or when the window has opened.
   *
   * Returns false when the ring had no room: the flow then waits for it.
   */
  settle(connection: Connection, nowMs: number): boolean {
    if (connection.state !== State.established) return true;
    // A guest that only acknowledges, as a receiver of a stream does, costs no system call here.
    if (connection.settled === 1 && connection.settledAt === connection.rcvNxt && connection.ackDue === 0) return true;
    const acknowledgment = this.#acknowledgable(connection);
    const scale = connection.ourScale;
    const window = Math.min(0xffff, Math.max(0, seqDiff(this.#edge(connection), acknowledgment)) >>> scale);
    const edge = seqAdd(acknowledgment, window << scale);
    const { ackTimers, lists } = this.#store;
    const { flow } = connection;
    if (this.#isWorthSending(connection, acknowledgment, edge) && connection.ackDue === 0) connection.ackDue = 1;
    if (connection.ackDue > 0) {
      const canWait = acknowledgment !== connection.ackSent && hasRoomToSend(connection);
      const sequence = acceptableSequence(connection);
      this.#builder.selectFlow(connection);
      while (connection.ackDue > 0) {
        const sent = this.#builder.sendEmpty(sequence, acknowledgment, TcpFlag.ack, window, canWait);
        if (sent === Refused.tooLong) {
          // No buffer of the driver can hold it: lost, as on a link.
          connection.ackDue = 0;
          break;
        }
        if (sent < 0) {
          lists.append(List.waitsForRoom, flow);
          return false;
        }
        connection.ackDue--;
        connection.ackSent = acknowledgment;
        connection.rcvEdge = edge;
      }
    }
    if (this.#mustPoll || connection.ackSent !== connection.rcvNxt) {
      if (ackTimers.scheduledMs(flow) === Infinity) ackTimers.schedule(flow, nowMs + ACK_INTERVAL_MS);
    } else ackTimers.cancel(flow);
    connection.settled = this.#isEmpty && connection.ackSent === connection.rcvNxt ? 1 : 0;
    connection.settledAt = connection.rcvNxt;
    return true;
  }

  /** @param edge the end of the window as the window field can say it. */
  #isWorthSending(connection: Connection, acknowledgment: Seq, edge: Seq): boolean {
    if (acknowledgment !== connection.ackSent) return true;
    const growth = seqDiff(edge, connection.rcvEdge);
    if (growth < 0) return connection.blocked === 1;
    if (growth === 0) return false;
    const left = seqDiff(connection.rcvEdge, connection.rcvNxt);
    if (left < connection.offeredMss) return true;
    // A guest that has not sent anything yet learns it with the first acknowledgment.
    return growth >= 2 * connection.offeredMss && connection.rcvNxt !== connection.rcvStart;
  }

  #acknowledgable(connection: Connection): Seq {
    const { rcvNxt, ackSent } = connection;
    if (ackSent === rcvNxt || connection.local === 1 || connection.guestFin === 1) return rcvNxt;
    const owed = this.#port.unacknowledged(connection.socket);
    return owed <= 0 ? rcvNxt : seqMax(ackSent, seqAdd(rcvNxt, -owed));
  }

  /**
   * The end of the window; sets {@link Acknowledger.#mustPoll} and {@link Acknowledger.#isEmpty}. It goes back only when
   * the send buffer was full.
   */
  #edge(connection: Connection): Seq {
    this.#mustPoll = false;
    this.#isEmpty = false;
    connection.windowLow = 0;
    const { rcvNxt, rcvEdge, socket } = connection;
    if (connection.guestFin === 1) return seqMax(rcvEdge, rcvNxt);
    if (connection.blocked === 1) return rcvNxt;
    const buffer = this.#buffer;
    if (this.#port.sendBuffer(socket, buffer) < 0) return rcvEdge;
    this.#isEmpty = buffer.queuedBytes === 0;
    const free = Math.max(0, buffer.sizeBytes - buffer.queuedBytes);
    // The kernel's bookkeeping takes its share of the buffer.
    const room = Math.min(WINDOW_MAX, free - (free >>> 3));
    if (buffer.queuedBytes > 0 && room < Math.min(2 * connection.offeredMss, buffer.sizeBytes >>> 1)) {
      connection.windowLow = 1;
      this.#mustPoll = this.#port.armWritable(socket) !== 0;
    }
    return seqMax(rcvEdge, seqAdd(rcvNxt, room));
  }
}

/** Nothing keeps the guest from sending on: no gap, no window that it has filled, no socket that did not take all of it. */
function hasRoomToSend(connection: Connection): boolean {
  const { ackDue, blocked, windowLow, rcvEdge, rcvNxt } = connection;
  return ackDue === 1 && blocked === 0 && windowLow === 0 && seqDiff(rcvEdge, rcvNxt) >= ROOM_BYTES;
}
