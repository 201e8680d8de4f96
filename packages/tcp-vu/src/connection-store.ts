import type { FlowKey } from "@passt-ts/flow/flow-key";
import { FlowTable } from "@passt-ts/flow/flow-table";
import { SlotLists } from "@passt-ts/flow/slot-list";
import { TimerWheel } from "@passt-ts/flow/timer-wheel";
import { Connection, State } from "./connection.ts";

/** The lists that an established flow may sit on; on none it waits for an event of its socket. */
export const List = {
  /** The socket may have data, and nothing is known to be in the way. */
  ready: 0,
  /** The guest's window is full. */
  waitsForWindow: 1,
  /** The ring has no room. */
  waitsForRoom: 2,
} as const;

/** How long the last acknowledgment of a connection that both sides have closed is waited for, in ms. */
const CLOSING_MS = 60_000;

/** The connections of one engine: table, state, lists and timers, all of one size fixed at the start. */
export class ConnectionStore {
  readonly table: FlowTable;
  readonly lists: SlotLists;
  /** Handshake, retransmission and probes. */
  readonly timers: TimerWheel;
  /** Acknowledgments and window updates owed. */
  readonly ackTimers: TimerWheel;
  /** Keepalives, and the end of connections that nobody uses. */
  readonly idleTimers: TimerWheel;
  /** By flow; made when a slot is used for the first time. */
  readonly connections: Connection[] = [];
  /** Flows with work at the end of the batch. */
  readonly touched: Int32Array;
  touchedCount = 0;

  constructor(capacity: number, secret: Uint32Array, nowMs: number) {
    this.table = new FlowTable(capacity, secret);
    this.lists = new SlotLists(capacity, 3);
    this.timers = new TimerWheel(capacity, nowMs);
    this.ackTimers = new TimerWheel(capacity, nowMs);
    this.idleTimers = new TimerWheel(capacity, nowMs);
    this.touched = new Int32Array(capacity);
  }

  /** When one of the timers is due at the earliest, or Infinity. */
  get deadlineMs(): number {
    return Math.min(this.timers.deadlineMs, this.ackTimers.deadlineMs, this.idleTimers.deadlineMs);
  }

  /** A connection in state free for `key`, which must not be in the table; null when the table is full. */
  add(key: FlowKey): Connection | null {
    const flow = this.table.insert(key);
    if (flow === -1) return null;
    // Slots are given out from 0 on, so the array has no holes.
    if (flow >= this.connections.length) {
      for (let i = this.connections.length; i <= flow; i++) this.connections.push(new Connection(i));
    }
    return this.connections[flow];
  }

  /** Forgets a connection, whose socket the caller has closed. */
  remove(connection: Connection): void {
    const { flow } = connection;
    this.lists.remove(flow);
    this.timers.cancel(flow);
    this.ackTimers.cancel(flow);
    this.idleTimers.cancel(flow);
    this.table.remove(flow);
    connection.state = State.free;
    connection.socket = -1;
    connection.firstSegment = -1;
    connection.lastSegment = -1;
    connection.ackDue = 0;
  }

  /** Both sides have closed, and our FIN has left: what is not acknowledged is not waited for without end. */
  startClosing(connection: Connection, nowMs: number): void {
    if (connection.closingEndMs !== Infinity) return;
    const { flow } = connection;
    connection.closingEndMs = nowMs + CLOSING_MS;
    if (this.timers.scheduledMs(flow) > connection.closingEndMs) this.timers.schedule(flow, connection.closingEndMs);
  }

  /** Puts a connection among those that have work at the end of the batch. */
  touch(connection: Connection): void {
    if (connection.touched === 1) return;
    connection.touched = 1;
    this.touched[this.touchedCount++] = connection.flow;
  }
}
