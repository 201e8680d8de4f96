import { TcpFlag } from "@passt-ts/wire/tcp";
import { challenge } from "./challenge.ts";
import { acknowledgmentWaitMs, type Connection } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import type { Segment } from "./segment.ts";
import type { SendPath } from "./send-path.ts";
import { seqDiff } from "./sequence.ts";
import type { TcpSocketPort } from "./socket-port.ts";

/** What the guest's acknowledgments and windows do to the way host to guest (RFC 9293 section 3.10.7.4). */
export class GuestAcknowledgment {
  readonly #store: ConnectionStore;
  readonly #port: TcpSocketPort;
  readonly #sendPath: SendPath;
  readonly #counters: Float64Array;

  constructor(store: ConnectionStore, port: TcpSocketPort, sendPath: SendPath, counters: Float64Array) {
    this.#store = store;
    this.#port = port;
    this.#sendPath = sendPath;
    this.#counters = counters;
  }

  /**
   * Processes acknowledgment and window of a segment with ACK; false when it acknowledges what was never sent, or what
   * no segment that is still under way can: the segment is then dropped, and challenged (RFC 5961 section 5.2).
   */
  process(connection: Connection, segment: Segment, nowMs: number): boolean {
    const { acknowledgment } = segment;
    const acked = seqDiff(acknowledgment, connection.sndUna);
    if (acked < -connection.maxWnd || seqDiff(acknowledgment, connection.sndMax) > 0) {
      challenge(connection, this.#counters, nowMs);
      return false;
    }
    if (acked < 0) return true;
    connection.retries = 0;
    const windowBefore = connection.sndWnd;
    if (acked > 0 || this.#isNewest(connection, segment)) this.#updateWindow(connection, segment);
    if (acked > 0) this.#advance(connection, segment, acked, nowMs);
    else if (this.#isDuplicate(connection, segment, windowBefore)) this.#resend(connection);
    if (windowBefore === 0 && connection.sndWnd > 0) {
      this.#restartTimer(connection, nowMs);
      // What was probed with was refused: going on behind it would leave a gap.
      if (acked === 0 && connection.sndNxt !== connection.sndUna) this.#sendPath.rewind(connection);
    }
    const { lists } = this.#store;
    if (lists.listOf(connection.flow) === List.waitsForWindow && this.#sendPath.usable(connection) > 0) {
      lists.append(List.ready, connection.flow);
    }
    return true;
  }

  /** Drops from the socket's queue what the guest has acknowledged; 0, or the error of the socket. */
  consume(connection: Connection): number {
    const bytes = connection.consumeBytes;
    if (bytes === 0) return 0;
    connection.consumeBytes = 0;
    const dropped = this.#port.consume(connection.socket, bytes);
    if (dropped < 0) return dropped;
    connection.peekedBytes = Math.max(0, connection.peekedBytes - dropped);
    // All of it was peeked before, so it was there; anything else would send the wrong bytes from now on.
    return dropped === bytes ? 0 : -1;
  }

  /**
   * RFC 9293: a segment that is older than the last one that set the window may not set it. One that acknowledges
   * something new is not older, although a guest that sends again goes back in its sequence.
   */
  #isNewest(connection: Connection, segment: Segment): boolean {
    const newer = seqDiff(segment.sequence, connection.sndWl1);
    return newer > 0 || (newer === 0 && seqDiff(segment.acknowledgment, connection.sndWl2) >= 0);
  }

  #updateWindow(connection: Connection, segment: Segment): void {
    const window = segment.window << connection.guestScale;
    connection.sndWnd = window;
    if (window > connection.maxWnd) connection.maxWnd = window;
    connection.sndWl1 = segment.sequence;
    connection.sndWl2 = segment.acknowledgment;
  }

  #advance(connection: Connection, segment: Segment, acked: number, nowMs: number): void {
    let bytes = acked;
    if (connection.hostEof === 1 && seqDiff(segment.acknowledgment, connection.eofSeq) > 0) {
      connection.finAcked = 1;
      bytes--;
    }
    connection.consumeBytes += bytes;
    connection.sndUna = segment.acknowledgment;
    if (seqDiff(connection.sndNxt, connection.sndUna) < 0) connection.sndNxt = connection.sndUna;
    if (seqDiff(connection.sndUna, connection.recoverSeq) > 0) connection.recovering = 0;
    this.#restartTimer(connection, nowMs);
    // A port without a peek offset could not see the end of the stream while bytes were queued in front of it.
    if (!this.#port.peekOffset && connection.hostEof === 0 && connection.sndUna === connection.sndMax) {
      if (this.#store.lists.listOf(connection.flow) === -1) this.#store.lists.append(List.ready, connection.flow);
    }
  }

  #restartTimer(connection: Connection, nowMs: number): void {
    const { timers, lists } = this.#store;
    const { flow } = connection;
    connection.rtoMs = connection.firstRtoMs;
    connection.probed = 0;
    if (connection.sndUna !== connection.sndMax || lists.listOf(flow) === List.waitsForWindow) {
      timers.schedule(flow, nowMs + acknowledgmentWaitMs(connection));
    } else timers.cancel(flow);
  }

  /** RFC 5681 section 2. The answer to a probe of a closed window is no duplicate. */
  #isDuplicate(connection: Connection, segment: Segment, windowBefore: number): boolean {
    return (
      segment.payloadBytes === 0 &&
      (segment.flags & (TcpFlag.syn | TcpFlag.fin)) === 0 &&
      connection.sndUna !== connection.sndMax &&
      connection.sndWnd === windowBefore &&
      windowBefore > 0
    );
  }

  /**
   * One duplicate is enough: frames in a ring are not reordered. The rest of the same loss says nothing new, and the
   * resend brings duplicates of its own (RFC 6582 section 3.2).
   */
  #resend(connection: Connection): void {
    if (connection.recovering === 1) return;
    connection.recovering = 1;
    connection.recoverSeq = connection.sndMax;
    this.#counters[TcpCounter.fastRetransmits]++;
    this.#sendPath.rewind(connection);
  }
}
