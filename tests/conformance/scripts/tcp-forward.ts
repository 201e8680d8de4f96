import { arp } from "../frames.ts";
import { gateway4, gateway6, host4 } from "../host.ts";
import type { Script, Step, Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";

const to4 = { to: gateway4 };
const to6 = { to: gateway6 };

/** The daemon must know the guest's MAC address, as it does of any guest that has its address from somewhere. */
const hello: Step = { name: "the guest shows itself", send: [arp({ sender: host4, target: gateway4 })] };

function accepted(name: string, flow: TcpFlow, address: string, port: number, localPort: number): Script {
  return {
    name,
    steps: [
      hello,
      { name: "SYN", host: [{ act: "connect", id: "client", address, port, localPort }] },
      { name: "SYN,ACK", send: [flow.synAck()] },
      {
        name: "the host writes",
        host: [{ act: "write", id: "client", text: "hello" }],
        answers: [{ after: 1, send: [flow.ack(1, 6)] }],
      },
      { name: "the guest answers", send: [flow.data("hello yourself", 1, 6)] },
      {
        name: "the host ends",
        host: [{ act: "end", id: "client" }],
        answers: [{ after: 1, send: [flow.ack(15, 7)] }],
      },
      { name: "the guest ends", send: [flow.fin(15, 7)] },
      { name: "end", host: [{ act: "close", id: "client" }] },
    ],
  };
}

function refused(): Script {
  const flow = new TcpFlow(to4, 7511, 44003);
  return {
    name: "the guest refuses",
    steps: [
      hello,
      { name: "SYN", host: [{ act: "connect", id: "client", address: "127.0.0.1", port: 7511, localPort: 44003 }] },
      { name: "RST", send: [flow.refusal()] },
      { name: "end", host: [{ act: "close", id: "client" }] },
    ],
  };
}

/** With data that was written before the guest answered. */
function eager(): Script {
  const flow = new TcpFlow(to4, 7511, 44004);
  return {
    name: "the host writes at once",
    steps: [
      hello,
      {
        name: "SYN",
        host: [
          { act: "connect", id: "client", address: "127.0.0.1", port: 7511, localPort: 44004 },
          { act: "write", id: "client", text: "early" },
        ],
      },
      {
        name: "SYN,ACK",
        send: [flow.synAck({ maximumSegmentSize: 500, windowScale: null, window: 1000 })],
        answers: [{ after: 2, send: [flow.ack(1, 6, 1000)] }],
      },
      {
        name: "more than a window",
        host: [{ act: "write", id: "client", text: "x".repeat(2300) }],
        answers: [
          { after: 2, send: [flow.ack(1, 1006, 1000)] },
          { after: 4, send: [flow.ack(1, 2006, 1000)] },
          { after: 5, send: [flow.ack(1, 2306, 1000)] },
        ],
      },
      { name: "RST", send: [flow.reset()] },
      { name: "end", host: [{ act: "close", id: "client" }] },
    ],
  };
}

export const tcpForwardSuite: Suite = {
  name: "tcp-forward",
  options: ["-t", "7511", "-t", "7512:7513"],
  scripts: [
    accepted("IPv4", new TcpFlow(to4, 7511, 44001), "127.0.0.1", 7511, 44001),
    accepted("IPv6", new TcpFlow(to6, 7511, 44001), "::1", 7511, 44001),
    accepted("another port", new TcpFlow(to4, 7513, 44002), "127.0.0.1", 7512, 44002),
    accepted("from the host's own address", new TcpFlow(to4, 7511, 44005), host4, 7511, 44005),
    refused(),
    eager(),
  ],
};
