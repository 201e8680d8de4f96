import { arp } from "../frames.ts";
import { gateway4, host4 } from "../host.ts";
import type { Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";

const to4 = { to: gateway4 };
const dataFlow = new TcpFlow(to4, 43301, 7702);
const idleFlow = new TcpFlow(to4, 43303, 7704);
const finFlow = new TcpFlow(to4, 43302, 7703);

/** The last resend comes after 127 s, and 120 s later the connection is given up. */
const GIVEN_UP_MS = 250_000;

/** Timers that take minutes: recorded once, and played on a clock that the test moves. IPv4 only: router advertisements come at random. */
export const clockSuites: readonly Suite[] = [
  {
    name: "clock-data",
    options: ["-4"],
    scripts: [
      {
        name: "data that is never acknowledged",
        steps: [
          { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port: 7702 }] },
          { name: "SYN", send: [dataFlow.syn()] },
          { name: "ACK", send: [dataFlow.ack()] },
          { name: "data", host: [{ act: "write", id: "server", text: "hello" }], collectMs: GIVEN_UP_MS },
          { name: "end", host: [{ act: "close", id: "server" }] },
        ],
      },
    ],
  },
  {
    name: "clock-fin",
    options: ["-4"],
    scripts: [
      {
        name: "FIN that is never acknowledged",
        steps: [
          { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port: 7703 }] },
          { name: "SYN", send: [finFlow.syn()] },
          { name: "ACK", send: [finFlow.ack()] },
          { name: "FIN", host: [{ act: "end", id: "server" }], collectMs: GIVEN_UP_MS },
          { name: "end", host: [{ act: "close", id: "server" }] },
        ],
      },
    ],
  },
  {
    name: "clock-idle",
    options: ["-4"],
    scripts: [
      {
        name: "nothing to say",
        steps: [
          { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port: 7704 }] },
          { name: "SYN", send: [idleFlow.syn()] },
          // Both look at the silence of connections in turns of a second, and so are late by as much each time.
          { name: "silence", send: [idleFlow.ack()], collectMs: 100_000, toleranceMs: 3500 },
          { name: "the guest gives up", send: [idleFlow.reset()] },
          { name: "end", host: [{ act: "close", id: "server" }] },
        ],
      },
    ],
  },
  {
    name: "clock-syn",
    options: ["-4", "-t", "7711"],
    scripts: [
      {
        name: "SYN that is never answered",
        steps: [
          { name: "the guest shows itself", send: [arp({ sender: host4, target: gateway4 })] },
          {
            name: "SYN",
            host: [{ act: "connect", id: "client", address: "127.0.0.1", port: 7711, localPort: 44201 }],
            collectMs: 25_000,
          },
          { name: "end", host: [{ act: "close", id: "client" }] },
        ],
      },
    ],
  },
];
