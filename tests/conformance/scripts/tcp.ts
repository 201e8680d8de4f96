import { TcpFlag } from "@passt-ts/wire/tcp";
import { gateway4, gateway6 } from "../host.ts";
import type { Script, Step, Suite } from "../script.ts";
import { type SynFields, TcpFlow } from "../tcp-flow.ts";

const { ack, fin, psh, rst, syn } = TcpFlag;
const to4 = { to: gateway4 };
const to6 = { to: gateway6 };
const closedPort = 7399;

const listen = (id: string, port: number, address = "127.0.0.1"): Step => ({
  name: "listen",
  host: [{ act: "listen", id, address, port }],
});

const handshake = (flow: TcpFlow, fields: SynFields = {}): Step[] => [
  { name: "SYN", send: [flow.syn(fields)] },
  { name: "ACK", send: [flow.ack()] },
];

/** The guest resets, so that nothing of the connection comes later. */
const over = (id: string, flow: TcpFlow, sequence = 1): Step[] => [
  { name: "the guest gives up", send: [flow.reset(sequence)] },
  { name: "end", host: [{ act: "close", id }] },
];

function options(name: string, port: number, guestPort: number, fields: SynFields): Script {
  const flow = new TcpFlow(to4, guestPort, port);
  return {
    name,
    steps: [
      listen("server", port),
      ...handshake(flow, fields),
      // What acknowledges it has the first window that is scaled, or is not.
      { name: "data", send: [flow.data("hello")] },
      ...over("server", flow, 6),
    ],
  };
}

export const tcpHandshakeSuite: Suite = {
  name: "tcp-handshake",
  options: [],
  scripts: [
    options("options: both", 7301, 43001, {}),
    options("options: none", 7302, 43002, { maximumSegmentSize: null }),
    options("options: no window scale", 7303, 43003, { windowScale: null }),
    options("options: large segments", 7304, 43004, { maximumSegmentSize: 65480, windowScale: 14 }),
    options("options: small segments", 7305, 43005, { maximumSegmentSize: 100 }),
    overIpv6(),
    {
      name: "closed port",
      steps: [
        { name: "IPv4", send: [new TcpFlow(to4, 43011, closedPort).syn()] },
        { name: "IPv6", send: [new TcpFlow(to6, 43011, closedPort).syn()] },
        { name: "port 0", send: [new TcpFlow(to4, 43012, 0).syn()] },
        { name: "broadcast", send: [new TcpFlow({ to: "255.255.255.255" }, 43012, closedPort).syn()] },
      ],
    },
    repeatedSyn(),
    badAcknowledgment(),
    resetWhileOpening(),
    {
      name: "segments without a connection",
      steps: [
        { name: "ACK", send: [new TcpFlow(to4, 43021, closedPort).stray(ack, 1000, 2000)] },
        { name: "data", send: [new TcpFlow(to4, 43022, closedPort).stray(ack | psh, 1000, 2000, "hello")] },
        { name: "FIN,ACK", send: [new TcpFlow(to4, 43023, closedPort).stray(ack | fin, 1000, 2000)] },
        { name: "SYN,ACK", send: [new TcpFlow(to4, 43024, closedPort).stray(ack | syn, 1000, 2000)] },
        { name: "FIN without ACK", send: [new TcpFlow(to4, 43025, closedPort).stray(fin, 1000, 0)] },
        { name: "data without ACK", send: [new TcpFlow(to4, 43026, closedPort).stray(psh, 1000, 0, "hello")] },
        { name: "RST", send: [new TcpFlow(to4, 43027, closedPort).stray(rst, 1000, 0)] },
        { name: "RST,ACK", send: [new TcpFlow(to4, 43028, closedPort).stray(rst | ack, 1000, 2000)] },
        { name: "ACK over IPv6", send: [new TcpFlow(to6, 43021, closedPort).stray(ack, 1000, 2000)] },
      ],
    },
  ],
};

function overIpv6(): Script {
  const flow = new TcpFlow(to6, 43006, 7306);
  return { name: "options: IPv6", steps: [listen("server", 7306, "::1"), ...handshake(flow), ...over("server", flow)] };
}

function repeatedSyn(): Script {
  const flow = new TcpFlow(to4, 43007, 7307);
  const again: Step = { name: "SYN again", send: [flow.syn()] };
  const [first, second] = handshake(flow);
  return {
    name: "repeated SYN",
    steps: [
      listen("server", 7307),
      first,
      again,
      second,
      { name: "SYN on the connection", send: [flow.syn()] },
      ...over("server", flow),
    ],
  };
}

function badAcknowledgment(): Script {
  const early = new TcpFlow(to4, 43008, 7308);
  const late = new TcpFlow(to4, 43009, 7308);
  return {
    name: "bad acknowledgment of the SYN,ACK",
    steps: [
      listen("server", 7308),
      { name: "SYN", send: [early.syn()] },
      { name: "ACK of nothing", send: [early.ack(1, 0)] },
      { name: "RST", send: [early.reset()] },
      { name: "another SYN", send: [late.syn()] },
      { name: "ACK of what was not sent", send: [late.ack(1, 2)] },
      ...over("server", late),
    ],
  };
}

function resetWhileOpening(): Script {
  const flow = new TcpFlow(to4, 43010, 7310);
  return {
    name: "reset of the SYN,ACK",
    steps: [
      listen("server", 7310),
      { name: "SYN", send: [flow.syn()] },
      { name: "RST", send: [flow.reset()] },
      { name: "ACK after it", send: [flow.ack()] },
      { name: "end", host: [{ act: "close", id: "server" }] },
    ],
  };
}

const text = "The quick brown fox";

function dataBothWays(name: string, flow: TcpFlow, port: number, address?: string): Script {
  return {
    name,
    steps: [
      listen("server", port, address),
      ...handshake(flow),
      { name: "data from the guest", send: [flow.data(text)] },
      {
        name: "data from the host",
        host: [{ act: "write", id: "server", text: "jumps over" }],
        answers: [{ after: 1, send: [flow.ack(20, 11)] }],
      },
      { name: "data in two segments", send: [flow.data("the ", 20, 11), flow.data("lazy dog", 24, 11)] },
      { name: "the same again", send: [flow.data("the ", 20, 11)] },
      { name: "keepalive", send: [flow.ack(31, 11)] },
      { name: "beyond a gap", send: [flow.data("gap", 40, 11)] },
      { name: "overlap", send: [flow.data("dog and more", 29, 11)] },
      ...over("server", flow, 41),
    ],
  };
}

function guestEndsFirst(): Script {
  const flow = new TcpFlow(to4, 43103, 7403);
  return {
    name: "the guest ends first",
    steps: [
      listen("server", 7403),
      ...handshake(flow),
      { name: "data and FIN", send: [flow.segment({ flags: fin | ack | psh, data: "bye" })] },
      {
        name: "the host still writes",
        host: [{ act: "write", id: "server", text: "not yet" }],
        answers: [{ after: 1, send: [flow.ack(5, 8)] }],
      },
      {
        name: "the host ends",
        host: [{ act: "end", id: "server" }],
        answers: [{ after: 1, send: [flow.ack(5, 9)] }],
      },
      { name: "late ACK", send: [flow.ack(5, 9)] },
      { name: "end", host: [{ act: "close", id: "server" }] },
    ],
  };
}

function hostEndsFirst(): Script {
  const flow = new TcpFlow(to4, 43104, 7404);
  return {
    name: "the host ends first",
    steps: [
      listen("server", 7404),
      ...handshake(flow),
      {
        name: "the host ends",
        host: [{ act: "end", id: "server" }],
        answers: [{ after: 1, send: [flow.ack(1, 2)] }],
      },
      { name: "the guest still writes", send: [flow.data("not yet", 1, 2)] },
      { name: "the guest ends", send: [flow.fin(8, 2)] },
      { name: "late ACK", send: [flow.ack(9, 2)] },
      { name: "end", host: [{ act: "close", id: "server" }] },
    ],
  };
}

function hostWritesAndEnds(): Script {
  const flow = new TcpFlow(to4, 43108, 7408);
  return {
    name: "the host writes and ends at once",
    steps: [
      listen("server", 7408),
      ...handshake(flow),
      {
        name: "data and the end",
        host: [
          { act: "write", id: "server", text: "bye" },
          { act: "end", id: "server" },
        ],
        answers: [
          { after: 1, send: [flow.ack(1, 4)] },
          { after: 2, send: [flow.ack(1, 5)] },
        ],
      },
      { name: "the guest ends", send: [flow.fin(1, 5)] },
      { name: "end", host: [{ act: "close", id: "server" }] },
    ],
  };
}

function resets(): Script[] {
  const byHost = new TcpFlow(to4, 43105, 7405);
  const byGuest = new TcpFlow(to4, 43106, 7406);
  const outside = new TcpFlow(to4, 43107, 7407);
  return [
    {
      name: "the host resets",
      steps: [
        listen("server", 7405),
        ...handshake(byHost),
        { name: "data", send: [byHost.data("hello")] },
        { name: "RST", host: [{ act: "reset", id: "server" }] },
        { name: "data after it", send: [byHost.data("more", 6)] },
        { name: "end", host: [{ act: "close", id: "server" }] },
      ],
    },
    {
      name: "the guest resets",
      steps: [
        listen("server", 7406),
        ...handshake(byGuest),
        { name: "data", send: [byGuest.data("hello")] },
        { name: "RST", send: [byGuest.reset(6)] },
        { name: "data after it", send: [byGuest.data("more", 6)] },
        { name: "end", host: [{ act: "close", id: "server" }] },
      ],
    },
    {
      name: "resets with other numbers",
      steps: [
        listen("server", 7407),
        ...handshake(outside),
        { name: "inside the window", send: [outside.reset(1000)] },
        { name: "outside the window", send: [outside.reset(0x4000_0000)] },
        { name: "data", send: [outside.data("hello")] },
        ...over("server", outside, 6),
      ],
    },
  ];
}

export const tcpDataSuite: Suite = {
  name: "tcp-data",
  options: [],
  scripts: [
    dataBothWays("data both ways, IPv4", new TcpFlow(to4, 43101, 7401), 7401),
    dataBothWays("data both ways, IPv6", new TcpFlow(to6, 43102, 7402), 7402, "::1"),
    guestEndsFirst(),
    hostEndsFirst(),
    hostWritesAndEnds(),
    ...resets(),
  ],
};
