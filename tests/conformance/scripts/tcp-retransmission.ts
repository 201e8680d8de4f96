import { arp } from "../frames.ts";
import { gateway4, host4 } from "../host.ts";
import type { Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";

const to4 = { to: gateway4 };

const opening = new TcpFlow(to4, 43201, 7601);
const unacknowledged = new TcpFlow(to4, 43202, 7602);
const duplicate = new TcpFlow(to4, 43203, 7603);
const unanswered = new TcpFlow(to4, 7611, 44101);

/** Three suites, so that they can be played at the same time. */
export const tcpSynAckAgainSuite: Suite = {
  name: "tcp-syn-ack-again",
  options: [],
  scripts: [
    {
      name: "SYN,ACK that is not acknowledged",
      steps: [
        { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port: 7601 }] },
        { name: "SYN", send: [opening.syn()], collectMs: 3400 },
        { name: "the guest gives up", send: [opening.reset()] },
        { name: "end", host: [{ act: "close", id: "server" }] },
      ],
    },
  ],
};

export const tcpSynAgainSuite: Suite = {
  name: "tcp-syn-again",
  options: ["-t", "7611"],
  scripts: [
    {
      name: "SYN that is not answered",
      steps: [
        { name: "the guest shows itself", send: [arp({ sender: host4, target: gateway4 })] },
        {
          name: "SYN",
          host: [{ act: "connect", id: "client", address: "127.0.0.1", port: 7611, localPort: 44101 }],
          collectMs: 3400,
        },
        { name: "late SYN,ACK", send: [unanswered.synAck()] },
        { name: "the guest gives up", send: [unanswered.reset()] },
        { name: "end", host: [{ act: "close", id: "client" }] },
      ],
    },
  ],
};

export const tcpDataAgainSuite: Suite = {
  name: "tcp-data-again",
  options: [],
  scripts: [
    {
      name: "data that is not acknowledged",
      steps: [
        { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port: 7602 }] },
        { name: "SYN", send: [unacknowledged.syn()] },
        { name: "ACK", send: [unacknowledged.ack()] },
        { name: "data", host: [{ act: "write", id: "server", text: "hello" }], collectMs: 3400 },
        { name: "the guest gives up", send: [unacknowledged.reset()] },
        { name: "end", host: [{ act: "close", id: "server" }] },
      ],
    },
    {
      name: "a duplicate acknowledgment",
      steps: [
        { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port: 7603 }] },
        { name: "SYN", send: [duplicate.syn()] },
        { name: "ACK", send: [duplicate.ack()] },
        {
          name: "data",
          host: [{ act: "write", id: "server", text: "hello" }],
          answers: [
            { after: 1, send: [duplicate.ack()] },
            { after: 2, send: [duplicate.ack(), duplicate.ack()] },
          ],
        },
        { name: "the guest gives up", send: [duplicate.reset()] },
        { name: "end", host: [{ act: "close", id: "server" }] },
      ],
    },
  ],
};
