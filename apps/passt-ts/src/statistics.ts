import { BackendCounter } from "@passt-ts/backend-sockets/backend-counter";
import type { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import { EchoCounter } from "@passt-ts/icmp-vu/echo-counter";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import type { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { DeviceCounter } from "@passt-ts/vhost-user-device/device-counter";
import { NetCounter } from "@passt-ts/virtio-net/net-counter";
import { Drop } from "@passt-ts/wire/packet";
import type { Capture } from "./capture.ts";

/** What the data plane counted so far, in one line: `group name=value ...`, zeros left out. */
export function statisticsOf(device: VhostUserDevice, sockets: SocketBackend, capture: Capture | null): string {
  const { engines } = sockets;
  const groups = [
    ["device", named(DeviceCounter, device.counters)],
    ["net", named(NetCounter, device.netCounters)],
    ["frames", named(BackendCounter, sockets.counters)],
    ["dropped", named(Drop, sockets.counters.subarray(BackendCounter.dropped))],
  ];
  if (engines !== null) {
    groups.push(
      ["tcp", `flows=${engines.tcp.flowCount} ${named(TcpCounter, engines.tcp.counters)}`],
      ["udp", `flows=${engines.udp.flowCount} ${named(UdpCounter, engines.udp.counters)}`],
      ["icmp", `flows=${engines.icmp.flowCount} ${named(EchoCounter, engines.icmp.counters)}`],
    );
  }
  if (capture !== null) groups.push(["capture", `records=${capture.records}`]);
  return `statistics: ${groups.map(([group, counts]) => `${group} ${counts}`.trimEnd()).join("; ")}`;
}

function named(names: Readonly<Record<string, number>>, counters: Float64Array): string {
  return Object.entries(names)
    .filter(([, index]) => counters[index] !== 0)
    .map(([name, index]) => `${name}=${counters[index]}`)
    .join(" ");
}
