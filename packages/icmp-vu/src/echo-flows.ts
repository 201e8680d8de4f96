import type { FlowKey } from "@passt-ts/flow/flow-key";
import { FlowTable } from "@passt-ts/flow/flow-table";
import { TimerWheel } from "@passt-ts/flow/timer-wheel";
import { IP_QUOTE_WORDS } from "@passt-ts/wire/ip-quote";

/** The flows of one engine, each an (addresses, identifier) of the guest: the identifier is the key's guest port. */
export class EchoFlows {
  readonly table: FlowTable;
  readonly socket: Int32Array;
  /** Where requests go on the host's side, 4 words a flow. */
  readonly hostAddress: Uint32Array;
  /** TTL or hop limit that the socket has now. */
  readonly hopLimit: Uint8Array;
  /** Of the newest request: words of keepIpWords, and bytes from its ICMP header on. */
  readonly ipWords: Uint32Array;
  readonly sentBytes: Uint16Array;
  readonly #wheel: TimerWheel;
  readonly #lastMs: Float64Array;
  readonly #timeoutMs: number;

  constructor(capacity: number, secret: Uint32Array, timeoutMs: number, nowMs: number) {
    this.table = new FlowTable(capacity, secret);
    this.socket = new Int32Array(capacity);
    this.hostAddress = new Uint32Array(4 * capacity);
    this.hopLimit = new Uint8Array(capacity);
    this.ipWords = new Uint32Array(IP_QUOTE_WORDS * capacity);
    this.sentBytes = new Uint16Array(capacity);
    this.#wheel = new TimerWheel(capacity, nowMs);
    this.#lastMs = new Float64Array(capacity);
    this.#timeoutMs = timeoutMs;
  }

  /** Adds the flow of `key`, which is not in the table: its number, or -1 when the table is full. */
  insert(key: FlowKey, nowMs: number): number {
    const flow = this.table.insert(key);
    if (flow === -1) return -1;
    this.socket[flow] = -1;
    this.#lastMs[flow] = nowMs;
    this.#wheel.schedule(flow, nowMs + this.#timeoutMs);
    return flow;
  }

  remove(flow: number): void {
    this.#wheel.cancel(flow);
    this.table.remove(flow);
  }

  /** Says that `flow` was used; its timer stays where it is, {@link nextExpired} looks again. */
  seen(flow: number, nowMs: number): void {
    this.#lastMs[flow] = nowMs;
  }

  /** A flow that nothing used for too long, or -1; the caller removes it. */
  nextExpired(nowMs: number): number {
    for (;;) {
      const flow = this.#wheel.expire(nowMs);
      if (flow === -1) return -1;
      const endMs = this.#lastMs[flow] + this.#timeoutMs;
      if (endMs <= nowMs) return flow;
      this.#wheel.schedule(flow, endMs);
    }
  }

  /** When {@link nextExpired} is to be called at the latest; Infinity without flows. */
  get deadlineMs(): number {
    return this.#wheel.deadlineMs;
  }
}
