import { udp } from "../frames.ts";
import { gateway4, gateway6, guestLinkLocal, host4 } from "../host.ts";
import type { Script, Suite } from "../script.ts";

const echoPort = 7101;
const closedPort = 7199;
const to4 = { to: gateway4 };
const to6 = { to: gateway6 };
const pattern = (lengthBytes: number): string => "0123456789abcdef".repeat(lengthBytes / 16 + 1).slice(0, lengthBytes);

export const udpSuite: Suite = {
  name: "udp",
  options: [],
  scripts: [
    {
      name: "echo",
      steps: [
        {
          name: "IPv4",
          host: [{ act: "bind", id: "echo4", address: "127.0.0.1", port: echoPort, echo: true }],
          send: [udp(to4, 41001, echoPort, "hello")],
        },
        { name: "IPv4, again", send: [udp(to4, 41001, echoPort, "again")] },
        { name: "IPv4, another port", send: [udp(to4, 41002, echoPort, "other")] },
        { name: "IPv4, nothing in it", send: [udp(to4, 41001, echoPort, "")] },
        { name: "IPv4, two at once", send: [udp(to4, 41001, echoPort, "one"), udp(to4, 41001, echoPort, "two")] },
        { name: "IPv4, more than an Ethernet frame", send: [udp(to4, 41003, echoPort, pattern(2001))] },
        {
          name: "IPv6",
          host: [{ act: "bind", id: "echo6", address: "::1", port: echoPort, echo: true }],
          send: [udp(to6, 41001, echoPort, "hello")],
        },
        { name: "IPv6, nothing in it", send: [udp(to6, 41001, echoPort, "")] },
        {
          name: "IPv6 from the link-local address",
          send: [udp({ from: guestLinkLocal, ...to6 }, 41005, echoPort, "local")],
        },
        {
          name: "end",
          host: [
            { act: "close", id: "echo4" },
            { act: "close", id: "echo6" },
          ],
        },
      ],
    },
    {
      name: "closed port",
      steps: [
        { name: "IPv4", send: [udp(to4, 41011, closedPort, "is anybody there?")] },
        { name: "IPv4, again", send: [udp(to4, 41011, closedPort, "nobody")] },
        { name: "IPv4, nothing in it", send: [udp(to4, 41012, closedPort, "")] },
        { name: "IPv4, more than an error quotes", send: [udp(to4, 41013, closedPort, pattern(1000))] },
        { name: "IPv6", send: [udp(to6, 41011, closedPort, "is anybody there?")] },
        { name: "IPv6, more than an error quotes", send: [udp(to6, 41013, closedPort, pattern(1400))] },
      ],
    },
    {
      name: "where nothing goes",
      steps: [
        { name: "IPv4 broadcast", send: [udp({ to: "255.255.255.255" }, 41021, closedPort, "all")] },
        { name: "broadcast of the network", send: [udp({ to: "192.0.2.255" }, 41021, closedPort, "all")] },
        { name: "loopback", send: [udp({ to: "127.0.0.1" }, 41021, closedPort, "loop")] },
        { name: "port 0", send: [udp(to4, 41021, 0, "zero")] },
        { name: "runt", send: [udp(to4, 41021, closedPort, "12345678").slice(0, 40)] },
        { name: "length beyond the packet", send: [longerThanItIs(udp(to4, 41021, closedPort, "12345678"))] },
      ],
    },
  ],
};

/** With 100 more in the UDP header's length. */
function longerThanItIs(frame: Uint8Array): Uint8Array {
  frame[39] += 100;
  return frame;
}

const forward4 = 7111;
const forward6 = 7112;
const mapped = 7113;

const inbound: Script = {
  name: "from the host",
  steps: [
    {
      name: "IPv4",
      host: [
        { act: "bind", id: "host4", address: "127.0.0.1", port: 42001 },
        { act: "send", id: "host4", address: "127.0.0.1", port: forward4, text: "hello" },
      ],
    },
    { name: "the guest answers", send: [udp(to4, 7211, 42001, "hello yourself")] },
    { name: "again", host: [{ act: "send", id: "host4", address: "127.0.0.1", port: forward4, text: "again" }] },
    {
      name: "to another port of the guest",
      host: [{ act: "send", id: "host4", address: "127.0.0.1", port: mapped, text: "mapped" }],
    },
    { name: "the guest answers from there", send: [udp(to4, mapped, 42001, "mapped back")] },
    {
      name: "from the host's own address",
      host: [
        { act: "bind", id: "own4", address: host4, port: 42002 },
        { act: "send", id: "own4", address: host4, port: forward4, text: "own" },
      ],
    },
    {
      name: "IPv6",
      host: [
        { act: "bind", id: "host6", address: "::1", port: 42001 },
        { act: "send", id: "host6", address: "::1", port: forward6, text: "hello" },
      ],
    },
    { name: "the guest answers over IPv6", send: [udp(to6, forward6, 42001, "hello yourself")] },
    {
      name: "end",
      host: [
        { act: "close", id: "host4" },
        { act: "close", id: "own4" },
        { act: "close", id: "host6" },
      ],
    },
  ],
};

export const udpForwardSuite: Suite = {
  name: "udp-forward",
  options: ["-u", `${forward4}:7211`, "-u", String(forward6), "-u", String(mapped)],
  scripts: [inbound],
};

const tooLargePort = 7121;

export const udpSmallBuffersSuite: Suite = {
  name: "udp-small-buffers",
  options: [],
  bufferBytes: 12 + 1514,
  scripts: [
    {
      name: "datagrams that do not fit a receive buffer",
      steps: [
        {
          name: "it fits",
          host: [{ act: "bind", id: "peer", address: "127.0.0.1", port: tooLargePort }],
          send: [udp(to4, 41031, tooLargePort, "hello")],
        },
        {
          name: "just fits",
          host: [{ act: "send", id: "peer", address: "127.0.0.1", port: 41031, text: pattern(1472) }],
        },
        {
          name: "one byte too many",
          host: [{ act: "send", id: "peer", address: "127.0.0.1", port: 41031, text: pattern(1473) }],
        },
        {
          name: "far too many",
          host: [{ act: "send", id: "peer", address: "127.0.0.1", port: 41031, text: pattern(3000) }],
        },
        { name: "fits again", host: [{ act: "send", id: "peer", address: "127.0.0.1", port: 41031, text: "hello" }] },
        { name: "end", host: [{ act: "close", id: "peer" }] },
      ],
    },
  ],
};

const resolver = "192.0.2.53";
const mappedGuest = "192.0.2.66";

export const udpMappedSuite: Suite = {
  name: "udp-mapped",
  options: [
    ...["--dns-forward", resolver, "--dns-host", "127.0.0.1", "--map-guest-addr", mappedGuest],
    ...["--map-host-loopback", "192.0.2.99"],
  ],
  scripts: [
    {
      name: "addresses that mean others",
      steps: [
        {
          name: "resolver",
          host: [{ act: "bind", id: "dns", address: "127.0.0.1", port: 53, echo: true }],
          send: [udp({ to: resolver }, 41041, 53, "query")],
        },
        { name: "another port of the resolver", send: [udp({ to: resolver }, 41042, 7131, "no query")] },
        {
          name: "the host under the guest's address",
          host: [{ act: "bind", id: "own", address: host4, port: 7132, echo: true }],
          send: [udp({ to: mappedGuest }, 41043, 7132, "own")],
        },
        {
          name: "the host's loopback",
          host: [{ act: "bind", id: "loopback", address: "127.0.0.1", port: 7133, echo: true }],
          send: [udp({ to: "192.0.2.99" }, 41044, 7133, "loopback")],
        },
        {
          name: "end",
          host: [
            { act: "close", id: "dns" },
            { act: "close", id: "own" },
            { act: "close", id: "loopback" },
          ],
        },
      ],
    },
  ],
};
