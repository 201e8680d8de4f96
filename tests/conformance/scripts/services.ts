// One question to each thing that the daemon serves, for options that turn some of them off and hosts that lack something.

import { arp, ping, udp, type Way } from "../frames.ts";
import { gateway4, gateway6, guestLinkLocal, host4, host6, hostLinkLocal } from "../host.ts";
import type { HostAction, Script, Step, Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";
import { dhcpDiscover } from "./dhcp.ts";
import { dhcpv6Solicit } from "./dhcpv6.ts";
import { routerSolicit, solicit } from "./ndp.ts";

const configuration: Script = {
  name: "configuration",
  steps: [
    { name: "ARP", send: [arp({ sender: host4, target: gateway4 })] },
    { name: "DHCP", send: [dhcpDiscover] },
    { name: "routers", send: [routerSolicit] },
    { name: "neighbor", send: [solicit(host6, gateway6)] },
    { name: "DHCPv6", send: [dhcpv6Solicit] },
  ],
};

/** @param number ports and identifiers of its own for each suite, as some are played at the same time. */
function echoes(number: number, ways: Readonly<Record<string, Way>>): Script[] {
  return Object.entries(ways).flatMap(([version, way], i): Script[] => {
    const address = way.to.includes(":") ? "::1" : "127.0.0.1";
    const port = 8000 + 10 * number + 2 * i;
    const flow = new TcpFlow(way, 45000 + 10 * number + i, port);
    const closed = new TcpFlow(way, 45005 + 10 * number + i, port + 1);
    const close: Step = {
      name: "end",
      host: [
        { act: "close", id: "echo" },
        { act: "close", id: "server" },
      ],
    };
    return [
      {
        name: version,
        steps: [
          { name: "ping", send: [ping(way, 100 + 10 * number + i, 1, "hello")] },
          {
            name: "UDP",
            host: [{ act: "bind", id: "echo", address, port, echo: true }],
            send: [udp(way, 41100 + 10 * number + i, port, "hello")],
          },
          { name: "UDP, closed port", send: [udp(way, 41105 + 10 * number + i, port + 1, "hello")] },
          { name: "TCP", host: [{ act: "listen", id: "server", address, port }], send: [flow.syn()] },
          { name: "RST", send: [flow.reset()] },
          { name: "TCP, closed port", send: [closed.syn()] },
          close,
        ],
      },
    ];
  });
}

function suite(name: string, number: number, options: readonly string[]): Suite {
  return {
    name,
    options,
    scripts: [configuration, ...echoes(number, { IPv4: { to: gateway4 }, IPv6: { to: gateway6 } })],
  };
}

/** Options that turn something off; each is asked for everything, as the others must go on. */
export const turnedOffSuites: readonly Suite[] = [
  ...["tcp", "udp", "icmp", "dhcp", "ndp", "ra", "dhcpv6"].map((what, i) => suite(`no-${what}`, i, [`--no-${what}`])),
  suite("only-ipv4", 7, ["-4"]),
  suite("only-ipv6", 8, ["-6"]),
  suite("mtu-none", 9, ["-m", "0"]),
];

const fromGuest: Way = { from: guestLinkLocal, to: "fe80::1" };

/** No interface but loopback. */
export const localModeSuite: Suite = {
  name: "local-mode",
  host: "no interface",
  options: [],
  scripts: [
    configuration,
    {
      name: "its own addresses",
      steps: [
        { name: "ARP", send: [arp({ sender: "169.254.2.1", target: "169.254.2.2" })] },
        { name: "neighbor", send: [solicit(guestLinkLocal, "fe80::1")] },
      ],
    },
    ...echoes(10, { IPv4: { from: "169.254.2.1", to: "169.254.2.2" }, IPv6: fromGuest }),
  ],
};

/** Addresses and a network, but no default route; the gateway is not asked for anything, as it is a stranger then. */
export const noGatewaySuite: Suite = {
  name: "no-gateway",
  host: "no gateway",
  options: ["-u", "8160"],
  scripts: [
    configuration,
    datagramsOfHost(8160),
    ...echoes(11, { "the daemon's link-local address": { from: guestLinkLocal, to: hostLinkLocal } }),
  ],
};

/** A default route that names the interface alone, as that of a tunnel. */
export const noNextHopSuite: Suite = {
  name: "no-next-hop",
  host: "no next hop",
  options: ["-u", "8170"],
  scripts: [configuration, datagramsOfHost(8170)],
};

/** From addresses that mean something else to the guest, or nothing, to a port that is forwarded. */
function datagramsOfHost(port: number): Script {
  const addresses = ["127.0.0.1", host4, "::1", host6];
  const bind = (address: string): HostAction => ({ act: "bind", id: address, address, port: port + 34_000 });
  return {
    name: "datagrams of the host",
    steps: [
      ...addresses.map(
        (address): Step => ({
          name: `from ${address}`,
          host: [bind(address), { act: "send", id: address, address, port, text: "hello" }],
        }),
      ),
      { name: "end", host: addresses.map((id) => ({ act: "close", id })) },
    ],
  };
}
