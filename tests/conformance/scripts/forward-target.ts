import { arp, udp } from "../frames.ts";
import { gateway4, gateway6, host4 } from "../host.ts";
import type { Script, Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";

/** Whom the guest forwards to, or is besides: forwards may name another address than the guest's. */
const target4 = "10.7.7.7";
const target6 = "2001:db8:7::7";

function connection(name: string, flow: TcpFlow, address: string, port: number, localPort: number): Script {
  return {
    name,
    steps: [
      { name: "SYN", host: [{ act: "connect", id: "client", address, port, localPort }] },
      { name: "SYN,ACK", send: [flow.synAck()] },
      {
        name: "the host writes",
        host: [{ act: "write", id: "client", text: "hello" }],
        answers: [{ after: 1, send: [flow.ack(1, 6)] }],
      },
      { name: "the guest answers", send: [flow.data("hello yourself", 1, 6)] },
      { name: "the guest gives up", send: [flow.reset(15)] },
      { name: "end", host: [{ act: "close", id: "client" }] },
    ],
  };
}

const bind = (address: string) => ({ act: "bind", id: "peer", address, port: 42021 }) as const;

export const forwardTargetSuite: Suite = {
  name: "forward-target",
  options: [
    ...["-t", `127.0.0.1/7821:${target4}/7822`, "-t", `::1/7823:${target6}/7824`],
    ...["-u", `127.0.0.1/7161:${target4}/7162`, "-u", `::1/7163:${target6}/7164`],
  ],
  scripts: [
    {
      name: "the guest shows itself",
      steps: [{ name: "ARP", send: [arp({ sender: host4, target: gateway4 })] }],
    },
    connection("TCP over IPv4", new TcpFlow({ from: target4, to: gateway4 }, 7822, 44021), "127.0.0.1", 7821, 44021),
    connection("TCP over IPv6", new TcpFlow({ from: target6, to: gateway6 }, 7824, 44022), "::1", 7823, 44022),
    {
      name: "UDP over IPv4",
      steps: [
        {
          name: "from the host",
          host: [bind("127.0.0.1"), { act: "send", id: "peer", address: "127.0.0.1", port: 7161, text: "hello" }],
        },
        { name: "the guest answers", send: [udp({ from: target4, to: gateway4 }, 7162, 42021, "hello yourself")] },
        { name: "and from its own address", send: [udp({ to: gateway4 }, 7162, 42021, "who is this?")] },
        { name: "end", host: [{ act: "close", id: "peer" }] },
      ],
    },
    {
      name: "UDP over IPv6",
      steps: [
        {
          name: "from the host",
          host: [bind("::1"), { act: "send", id: "peer", address: "::1", port: 7163, text: "hello" }],
        },
        { name: "the guest answers", send: [udp({ from: target6, to: gateway6 }, 7164, 42021, "hello yourself")] },
        { name: "end", host: [{ act: "close", id: "peer" }] },
      ],
    },
  ],
};
