import { BackendCounter } from "@passt-ts/backend-sockets/backend-counter";
import type { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import type { TapBackend } from "@passt-ts/backend-tap/tap-backend";
import { TapCounter } from "@passt-ts/backend-tap/tap-counter";
import { EchoCounter } from "@passt-ts/icmp-vu/echo-counter";
import { ReassemblyCounter } from "@passt-ts/ip-reassembly/reassembly-counter";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import type { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { DeviceCounter } from "@passt-ts/vhost-user-device/device-counter";
import { NetCounter } from "@passt-ts/virtio-net/net-counter";
import { Drop } from "@passt-ts/wire/packet";
import type { Capture } from "./capture.ts";

/** What there is that counts; of the back-ends there is one. */
export interface Counting {
  readonly device: VhostUserDevice;
  readonly sockets: SocketBackend | null;
  readonly tap: TapBackend | null;
  readonly capture: Capture | null;
}

type Group = readonly [name: string, counts: string];

/** What the data plane counted so far, in one line: `group name=value ...`, zeros and groups without any left out. */
export function statisticsOf({ device, sockets, tap, capture }: Counting): string {
  const groups: readonly Group[] = [
    ["device", named(DeviceCounter, device.counters)],
    ["net", named(NetCounter, device.netCounters)],
    ...(sockets === null ? [] : socketGroups(sockets)),
    ["tap", tap === null ? "" : named(TapCounter, tap.counters)],
    ["capture", capture === null ? "" : `records=${capture.records}`],
  ];
  const counted = groups.filter(([, counts]) => counts !== "").map((group) => group.join(" "));
  return `statistics: ${counted.join("; ")}`;
}

function socketGroups({ counters, engines }: SocketBackend): readonly Group[] {
  const groups: readonly Group[] = [
    ["frames", named(BackendCounter, counters)],
    ["dropped", named(Drop, counters.subarray(BackendCounter.dropped))],
  ];
  if (engines === null) return groups;
  return [
    ...groups,
    ["tcp", withFlows(engines.tcp.flowCount, named(TcpCounter, engines.tcp.counters))],
    ["udp", withFlows(engines.udp.flowCount, named(UdpCounter, engines.udp.counters))],
    ["icmp", withFlows(engines.icmp.flowCount, named(EchoCounter, engines.icmp.counters))],
    ["reassembly", named(ReassemblyCounter, engines.reassembly.counters)],
  ];
}

/** The flows that there are now in front of what was counted. */
function withFlows(flowCount: number, counts: string): string {
  return flowCount === 0 ? counts : `flows=${flowCount} ${counts}`.trimEnd();
}

function named(names: Readonly<Record<string, number>>, counters: Float64Array): string {
  return Object.entries(names)
    .filter(([, index]) => counters[index] !== 0)
    .map(([name, index]) => `${name}=${counters[index]}`)
    .join(" ");
}
