import type { FlowKey } from "@passt-ts/flow/flow-key";
import { FlowTable } from "@passt-ts/flow/flow-table";
import { TimerWheel } from "@passt-ts/flow/timer-wheel";
import { IP_QUOTE_WORDS } from "@passt-ts/wire/ip-quote";

/** Which way a datagram went; a flow remembers both. */
export const Direction = { toHost: 1, toGuest: 2 } as const;

const BOTH_WAYS = Direction.toHost | Direction.toGuest;

/** {@link UdpFlows.listener} of a flow that has a connected socket of its own. */
export const CONNECTED = -1;

/** The flows of one engine: the columns beside {@link FlowTable}, and when each flow ends. */
export class UdpFlows {
  readonly table: FlowTable;
  readonly socket: Int32Array;
  /** The listener whose socket the flow uses, or {@link CONNECTED}. */
  readonly listener: Int32Array;
  /** The peer's address on the host's side, 4 words a flow; of listening flows only, as are the next two. */
  readonly hostAddress: Uint32Array;
  readonly scope: Uint32Array;
  /** The host's address that the peer sends to, 4 words a flow; all 0 where it is not known. */
  readonly localAddress: Uint32Array;
  /** TTL or hop limit that the socket has now; of connected flows only. */
  readonly hopLimit: Uint8Array;
  /** Of the newest datagram of the guest: words of keepIpWords, payload bytes, and whether it has a checksum. */
  readonly ipWords: Uint32Array;
  readonly sentBytes: Uint16Array;
  readonly hasChecksum: Uint8Array;
  readonly #wheel: TimerWheel;
  readonly #lastMs: Float64Array;
  readonly #directions: Uint8Array;
  readonly #oneWayTimeoutMs: number;
  readonly #bothWaysTimeoutMs: number;

  constructor(
    capacity: number,
    secret: Uint32Array,
    oneWayTimeoutMs: number,
    bothWaysTimeoutMs: number,
    nowMs: number,
  ) {
    this.table = new FlowTable(capacity, secret);
    this.socket = new Int32Array(capacity);
    this.listener = new Int32Array(capacity);
    this.hostAddress = new Uint32Array(4 * capacity);
    this.scope = new Uint32Array(capacity);
    this.localAddress = new Uint32Array(4 * capacity);
    this.hopLimit = new Uint8Array(capacity);
    this.ipWords = new Uint32Array(IP_QUOTE_WORDS * capacity);
    this.sentBytes = new Uint16Array(capacity);
    this.hasChecksum = new Uint8Array(capacity);
    this.#wheel = new TimerWheel(capacity, nowMs);
    this.#lastMs = new Float64Array(capacity);
    this.#directions = new Uint8Array(capacity);
    this.#oneWayTimeoutMs = oneWayTimeoutMs;
    this.#bothWaysTimeoutMs = bothWaysTimeoutMs;
  }

  /** Adds the flow of `key`, which is not in the table: its number, or -1 when the table is full. */
  insert(key: FlowKey, nowMs: number): number {
    const flow = this.table.insert(key);
    if (flow === -1) return -1;
    this.socket[flow] = -1;
    this.listener[flow] = CONNECTED;
    this.sentBytes[flow] = 0;
    this.hasChecksum[flow] = 0;
    this.#directions[flow] = 0;
    this.#lastMs[flow] = nowMs;
    this.#wheel.schedule(flow, nowMs + this.#oneWayTimeoutMs);
    return flow;
  }

  remove(flow: number): void {
    this.#wheel.cancel(flow);
    this.table.remove(flow);
  }

  /** Says that a datagram of `flow` went in `direction`; its timer stays where it is, {@link nextExpired} looks again. */
  seen(flow: number, direction: number, nowMs: number): void {
    this.#directions[flow] |= direction;
    this.#lastMs[flow] = nowMs;
  }

  /** A flow that nothing used for too long, or -1; the caller removes it. */
  nextExpired(nowMs: number): number {
    for (;;) {
      const flow = this.#wheel.expire(nowMs);
      if (flow === -1) return -1;
      const timeoutMs = this.#directions[flow] === BOTH_WAYS ? this.#bothWaysTimeoutMs : this.#oneWayTimeoutMs;
      const endMs = this.#lastMs[flow] + timeoutMs;
      if (endMs <= nowMs) return flow;
      this.#wheel.schedule(flow, endMs);
    }
  }

  /** When {@link nextExpired} is to be called at the latest; Infinity without flows. */
  get deadlineMs(): number {
    return this.#wheel.deadlineMs;
  }
}
