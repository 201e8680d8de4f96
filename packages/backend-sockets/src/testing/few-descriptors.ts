/** A back-end in a process that may open few descriptors: what becomes of flows when there are none left. */
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import { BackendRig } from "./backend-rig.ts";
import { isUdp, udpFrame } from "./guest-frames.ts";
import { GuestStream } from "./guest-stream.ts";
import { boundSocket, HostStream, HostUdp, LOOPBACK4, portOf } from "./host-sockets.ts";

export interface DescriptorReport {
  readonly udpSent: number;
  readonly udpFlows: number;
  readonly udpDropped: number;
  readonly tcpResets: number;
  readonly tcpConnectFailed: number;
  readonly outOfDescriptors: number;
  readonly acceptedWhileOut: number;
  readonly acceptedAfterwards: number;
  readonly oldFlowAnswered: boolean;
  readonly newFlowAnswered: boolean;
}

const UDP_FLOWS = 120;

/** Whether a datagram of the guest from this port comes back to it. */
function isAnswered(rig: BackendRig, host: HostUdp, sourcePort: number): boolean {
  while (host.receive() !== null);
  rig.send([udpFrame({ sourcePort, destinationPort: host.port, payload: [1] })]);
  const { port } = rig.waitFor(() => host.receive(), "the datagram");
  host.send([2], LOOPBACK4, port);
  const frame = rig.frame(isUdp);
  return frame[36] * 256 + frame[37] === sourcePort && frame[42] === 2;
}

function report(): DescriptorReport {
  const fd = boundSocket("tcp");
  using rig = new BackendRig({ forwards: [{ protocol: "tcp", fd, family: 4, targetPort: 22 }] });
  using host = new HostUdp();
  using waiting = HostStream.connect(portOf(fd));
  waiting.read();
  const firstPort = 50_000;
  const { udp, tcp, listeners } = rig.engines;
  for (let i = 0; i < UDP_FLOWS; i++) rig.send([udpFrame({ sourcePort: firstPort + i, destinationPort: host.port })]);
  const udpFlows = udp.flowCount;
  const guest = new GuestStream(rig, { peerPort: host.port });
  guest.sendSyn();
  rig.until(() => guest.poll().resets > 0, "a RST");
  for (let i = 0; i < 50; i++) rig.pump(2);
  const outOfDescriptors = listeners.outOfDescriptors;
  const acceptedWhileOut = tcp.counters[TcpCounter.accepted];
  const oldFlowAnswered = isAnswered(rig, host, firstPort);
  // The silence ends all flows.
  rig.pass(121_000);
  rig.until(() => tcp.counters[TcpCounter.accepted] > 0, "the connection that waited");
  return {
    udpSent: UDP_FLOWS,
    udpFlows,
    udpDropped: udp.counters[UdpCounter.droppedNoDescriptor],
    tcpResets: guest.resets,
    tcpConnectFailed: tcp.counters[TcpCounter.connectFailed],
    outOfDescriptors,
    acceptedWhileOut,
    acceptedAfterwards: tcp.counters[TcpCounter.accepted],
    oldFlowAnswered,
    newFlowAnswered: isAnswered(rig, host, firstPort + 1),
  };
}

process.stdout.write(JSON.stringify(report()));
