import { Refused } from "@passt-ts/net-backend/rx-sink";
import { TcpFlag } from "@passt-ts/wire/tcp";
import { acceptableSequence, type Connection, State } from "./connection.ts";
import { type ConnectionStore, List } from "./connection-store.ts";
import { TcpCounter } from "./counters.ts";
import type { SegmentBuilder } from "./segment-builder.ts";
import type { TcpSocketPort } from "./socket-port.ts";

/** How long a RST waits for room in the ring, in ms. */
const RESET_WAIT_MS = 60_000;

/** The ends of connections: each way out of the table is here. */
export class Teardown {
  readonly #store: ConnectionStore;
  readonly #port: TcpSocketPort;
  readonly #builder: SegmentBuilder;
  readonly #counters: Float64Array;

  constructor(store: ConnectionStore, port: TcpSocketPort, builder: SegmentBuilder, counters: Float64Array) {
    this.#store = store;
    this.#port = port;
    this.#builder = builder;
    this.#counters = counters;
  }

  /** Closes and forgets the connection when both directions have ended and nothing is owed to the guest. */
  finishIfDone(connection: Connection): void {
    if (connection.guestFin === 0 || connection.finAcked === 0 || connection.ackDue > 0) return;
    if (connection.state !== State.established) return;
    this.#port.close(connection.socket);
    this.#store.remove(connection);
    this.#counters[TcpCounter.closed]++;
  }

  /** The guest or a timeout ended it: the host's peer sees a reset, the guest nothing. */
  resetHost(connection: Connection): void {
    if (connection.socket >= 0) this.#port.reset(connection.socket);
    this.#store.remove(connection);
  }

  /** Resets both sides. While the ring has no room for the RST, the connection stays in state resetting. */
  abort(connection: Connection, nowMs: number): void {
    const { lists, timers, ackTimers, idleTimers } = this.#store;
    // The RST carries the flow label of the segments before it: the number of the socket.
    this.#builder.selectFlow(connection);
    if (connection.socket >= 0) this.#port.reset(connection.socket);
    connection.socket = -1;
    // What the guest's window says holds only once it has answered; the RST stands behind our SYN.
    if (connection.state !== State.established) connection.sndUna = connection.sndMax;
    connection.state = State.resetting;
    connection.firstSegment = -1;
    connection.lastSegment = -1;
    connection.ackDue = 0;
    lists.remove(connection.flow);
    ackTimers.cancel(connection.flow);
    idleTimers.cancel(connection.flow);
    timers.schedule(connection.flow, nowMs + RESET_WAIT_MS);
    this.#sendSelectedReset(connection);
  }

  /** Tries once more to send the RST of a connection in state resetting; its socket, the flow label, is gone. */
  retryReset(connection: Connection): void {
    this.#builder.selectFlow(connection);
    this.#sendSelectedReset(connection);
  }

  /** Takes a connection in state resetting out, its RST sent or not. */
  forget(connection: Connection): void {
    this.#store.remove(connection);
  }

  #sendSelectedReset(connection: Connection): void {
    const sequence = acceptableSequence(connection);
    const sent = this.#builder.sendEmpty(sequence, connection.rcvNxt, TcpFlag.rst | TcpFlag.ack, 0);
    if (sent === 0) this.#counters[TcpCounter.resetsOut]++;
    // What no buffer of the driver can hold waits for nothing.
    if (sent === 0 || sent === Refused.tooLong) this.#store.remove(connection);
    else this.#store.lists.append(List.waitsForRoom, connection.flow);
  }
}
