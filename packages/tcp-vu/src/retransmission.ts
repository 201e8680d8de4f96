import type { Acknowledger } from "./acknowledger.ts";
import { type Connection, PROBE_MS, State } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import type { Handshake } from "./handshake.ts";
import type { IdleWatch } from "./idle-watch.ts";
import type { SendPath } from "./send-path.ts";
import type { Teardown } from "./teardown.ts";

/** How often the same data is sent again: RST at 247 s. */
const RESENDS_MAX = 7;

/** What happens when the timer of a flow expires. */
export class Retransmission {
  readonly #store: ConnectionStore;
  readonly #handshake: Handshake;
  readonly #sendPath: SendPath;
  readonly #acknowledger: Acknowledger;
  readonly #idle: IdleWatch;
  readonly #teardown: Teardown;
  readonly #counters: Float64Array;
  readonly #rtoMaxMs: number;

  /** @param rtoMaxMs the longest timeout. */
  constructor(
    store: ConnectionStore,
    handshake: Handshake,
    sendPath: SendPath,
    acknowledger: Acknowledger,
    idle: IdleWatch,
    teardown: Teardown,
    counters: Float64Array,
    rtoMaxMs: number,
  ) {
    this.#store = store;
    this.#handshake = handshake;
    this.#sendPath = sendPath;
    this.#acknowledger = acknowledger;
    this.#idle = idle;
    this.#teardown = teardown;
    this.#counters = counters;
    this.#rtoMaxMs = rtoMaxMs;
  }

  /** Handles every timer that is due. */
  expire(nowMs: number): void {
    const { timers, ackTimers, idleTimers, connections } = this.#store;
    for (let flow = timers.expire(nowMs); flow !== -1; flow = timers.expire(nowMs)) {
      this.#expired(connections[flow], nowMs);
    }
    for (let flow = ackTimers.expire(nowMs); flow !== -1; flow = ackTimers.expire(nowMs)) {
      this.#acknowledger.settle(connections[flow], nowMs);
    }
    for (let flow = idleTimers.expire(nowMs); flow !== -1; flow = idleTimers.expire(nowMs)) {
      this.#idle.expired(connections[flow], nowMs);
    }
  }

  #expired(connection: Connection, nowMs: number): void {
    if (connection.state === State.resetting) this.#teardown.forget(connection);
    else if (connection.state !== State.established) this.#handshake.timeout(connection, nowMs);
    else if (connection.sndUna !== connection.sndMax || this.#isBlockedByWindow(connection)) {
      this.#resend(connection, nowMs);
    }
  }

  #isBlockedByWindow(connection: Connection): boolean {
    return this.#store.lists.listOf(connection.flow) === List.waitsForWindow;
  }

  /** Sends again from the first byte not acknowledged; into a closed window one unit of it, as a probe. */
  #resend(connection: Connection, nowMs: number): void {
    if (this.#store.lists.listOf(connection.flow) === List.waitsForRoom) {
      // Nothing can be sent, so nothing was: a guest that is paused is not a guest that is gone.
      this.#store.timers.schedule(connection.flow, nowMs + connection.rtoMs);
      return;
    }
    if (nowMs >= connection.closingEndMs) {
      this.#counters[TcpCounter.closingTimeouts]++;
      this.#teardown.abort(connection, nowMs);
      return;
    }
    if (connection.probed === 0 && connection.retries === 0 && connection.sndWnd > 0) {
      this.#probe(connection, nowMs);
      return;
    }
    if (connection.retries === RESENDS_MAX) {
      this.#counters[TcpCounter.retriesExhausted]++;
      this.#teardown.abort(connection, nowMs);
      return;
    }
    connection.retries++;
    connection.rtoMs = Math.min(2 * connection.rtoMs, this.#rtoMaxMs);
    if (connection.sndWnd === 0) {
      connection.probeBytes = Math.min(1 << connection.guestScale, connection.mss);
      this.#counters[TcpCounter.zeroWindowProbes]++;
    } else {
      this.#counters[TcpCounter.timeouts]++;
      connection.recovering = 1;
      connection.recoverSeq = connection.sndMax;
    }
    this.#sendPath.rewind(connection);
    this.#store.timers.schedule(connection.flow, Math.min(nowMs + connection.rtoMs, connection.closingEndMs));
  }

  /** Sends again before the retransmission timeout: an acknowledgment, of this or of a gap, goes on from there. */
  #probe(connection: Connection, nowMs: number): void {
    connection.probed = 1;
    connection.recovering = 1;
    connection.recoverSeq = connection.sndMax;
    this.#counters[TcpCounter.tailProbes]++;
    this.#sendPath.rewind(connection);
    this.#store.timers.schedule(connection.flow, nowMs + Math.max(PROBE_MS, connection.rtoMs - PROBE_MS));
  }
}
