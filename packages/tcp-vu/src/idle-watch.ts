import { TcpFlag } from "@passt-ts/wire/tcp";
import type { Connection } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import { type SegmentBuilder, windowField } from "./segment-builder.ts";
import { seqAdd } from "./sequence.ts";
import type { Teardown } from "./teardown.ts";

/** How long the guest may be silent before it gets a keepalive, in ms. */
export const KEEPALIVE_MS = 30_000;
/** How long both sides may be silent before the connection is reset, in ms (at least 2 h 4 min: RFC 5382 REQ-5). */
export const IDLE_TIMEOUT_MS = 7_440_000;
/** Timers are due on whole seconds, so that many silent connections are one wake-up. */
const GRANULARITY_MS = 1000;

/**
 * Watches established connections that nobody uses.
 *
 * A guest that is silent gets a keepalive (RFC 9293 section 3.8.4): one that has forgotten the connection answers with
 * RST, and it ends; one that does not answer at all may be paused, and nothing happens. A connection on which nothing
 * at all came from either side, no answer to a keepalive either, is reset in the end.
 */
export class IdleWatch {
  readonly #store: ConnectionStore;
  readonly #builder: SegmentBuilder;
  readonly #teardown: Teardown;
  readonly #counters: Float64Array;
  readonly #keepaliveMs: number;
  readonly #timeoutMs: number;

  /** Infinity as `keepaliveMs` or `timeoutMs`: never. */
  constructor(
    store: ConnectionStore,
    builder: SegmentBuilder,
    teardown: Teardown,
    counters: Float64Array,
    keepaliveMs: number,
    timeoutMs: number,
  ) {
    this.#store = store;
    this.#builder = builder;
    this.#teardown = teardown;
    this.#counters = counters;
    this.#keepaliveMs = keepaliveMs;
    this.#timeoutMs = timeoutMs;
  }

  /** The connection is established from now on. */
  start(connection: Connection, nowMs: number): void {
    connection.guestMs = nowMs;
    connection.socketMs = nowMs;
    this.#schedule(connection, nowMs + this.#keepaliveMs);
  }

  /** The timer of an established connection is due: it may have been used since it was set. */
  expired(connection: Connection, nowMs: number): void {
    const { guestMs, socketMs } = connection;
    if (nowMs - Math.max(guestMs, socketMs) >= this.#timeoutMs) {
      this.#counters[TcpCounter.idleTimeouts]++;
      this.#teardown.abort(connection, nowMs);
      return;
    }
    if (nowMs - guestMs < this.#keepaliveMs) {
      this.#schedule(connection, guestMs + this.#keepaliveMs);
      return;
    }
    this.#keepAlive(connection);
    this.#schedule(connection, nowMs + this.#keepaliveMs);
  }

  /** One byte before what the guest expects, and no payload. What is in flight, or a closed window, asks by itself. */
  #keepAlive(connection: Connection): void {
    const { sndUna, sndMax, ackSent, flow } = connection;
    if (sndUna !== sndMax || this.#store.lists.listOf(flow) === List.waitsForWindow) return;
    this.#builder.selectFlow(connection);
    const sent = this.#builder.sendEmpty(seqAdd(sndUna, -1), ackSent, TcpFlag.ack, windowField(connection));
    if (sent === 0) this.#counters[TcpCounter.keepalives]++;
  }

  #schedule(connection: Connection, keepaliveAtMs: number): void {
    const { guestMs, socketMs, flow } = connection;
    const atMs = Math.min(keepaliveAtMs, Math.max(guestMs, socketMs) + this.#timeoutMs);
    this.#store.idleTimers.schedule(flow, Math.ceil(atMs / GRANULARITY_MS) * GRANULARITY_MS);
  }
}
