import { EchoCounter } from "@passt-ts/icmp-vu/echo-counter";
import type { EchoEngine } from "@passt-ts/icmp-vu/echo-engine";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import type { TcpEngine } from "@passt-ts/tcp-vu/engine";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import type { UdpEngine } from "@passt-ts/udp-vu/udp-engine";

/** Between two warnings at least. */
const WARNING_INTERVAL_MS = 60_000;

/** The engines whose flows are watched, by their counters. */
export interface WatchedEngines {
  readonly tcp: Pick<TcpEngine, "counters">;
  readonly udp: Pick<UdpEngine, "counters">;
  readonly icmp: Pick<EchoEngine, "counters">;
}

/**
 * Warns when new flows are refused because a table is full or descriptors have run out: each such flow costs only
 * itself and a count, so nobody would see why some connections fail. Once a minute at most, with what came in between.
 */
export class RefusedFlows {
  readonly #engines: WatchedEngines;
  readonly #warn: (text: string) => void;
  #warnedTotal = 0;
  #nextMs = -Infinity;

  constructor(engines: WatchedEngines, warn: (text: string) => void) {
    this.#engines = engines;
    this.#warn = warn;
  }

  /** Looks at the counters; to be called each turn. */
  turn(nowMs: number): void {
    const { tcp, udp, icmp } = this.#engines;
    const full =
      tcp.counters[TcpCounter.tableFull] +
      udp.counters[UdpCounter.droppedFlowTableFull] +
      icmp.counters[EchoCounter.droppedFlowTableFull];
    const withoutDescriptor =
      udp.counters[UdpCounter.droppedNoDescriptor] + icmp.counters[EchoCounter.droppedNoDescriptor];
    const total = full + withoutDescriptor;
    if (total === this.#warnedTotal || nowMs < this.#nextMs) return;
    this.#warnedTotal = total;
    this.#nextMs = nowMs + WARNING_INTERVAL_MS;
    this.#warn(`flows refused so far: ${full} for want of room in a table, ${withoutDescriptor} of a descriptor`);
  }
}
