import type { TcpEngineOptions } from "@passt-ts/tcp-vu/engine";
import type { UdpEngineOptions } from "@passt-ts/udp-vu/udp-options";

/** How long flows wait for what does not come; what is absent is as the engines have it themselves. */
export interface FlowTimers {
  readonly tcp: Readonly<Pick<TcpEngineOptions, "synLinearTimeouts" | "synRetries" | "rtoMaxMs">>;
  readonly udp: Readonly<Pick<UdpEngineOptions, "oneWayTimeoutMs" | "bothWaysTimeoutMs">>;
}
