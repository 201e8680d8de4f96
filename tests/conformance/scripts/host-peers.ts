// As whom peers on the host appear to the guest, with the gateway's address meaning the host's loopback and without.

import { arp, type Way } from "../frames.ts";
import { gateway4, gateway6, guestLinkLocal, host4, host6, hostLinkLocal } from "../host.ts";
import type { Script, Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";
import { solicit } from "./ndp.ts";

const addresses = ["127.0.0.1", "127.0.0.2", host4, "::1", host6];

/**
 * A datagram and a connection from each of the host's addresses to a port that is forwarded.
 *
 * @param way6 of the guest, to whom peers of IPv6 appear as.
 */
function fromHost(port: number, way6: Way = { to: gateway6 }): Script[] {
  return addresses.map((address, i): Script => {
    const localPort = port + 34_000 + i;
    const flow = new TcpFlow(address.includes(":") ? way6 : { to: gateway4 }, port, localPort);
    return {
      name: `from ${address}`,
      steps: [
        {
          name: "UDP",
          host: [
            { act: "bind", id: "peer", address, port: localPort },
            { act: "send", id: "peer", address, port, text: "hello" },
          ],
        },
        { name: "TCP", host: [{ act: "connect", id: "client", address, port, localPort }] },
        { name: "RST", send: [flow.refusal()] },
        {
          name: "end",
          host: [
            { act: "close", id: "peer" },
            { act: "close", id: "client" },
          ],
        },
      ],
    };
  });
}

function suite(name: string, port: number, options: readonly string[], way6?: Way): Suite {
  return {
    name,
    options: ["-u", String(port), "-t", String(port), ...options],
    scripts: [
      {
        name: "the guest shows itself",
        steps: [
          { name: "ARP", send: [arp({ sender: host4, target: gateway4 })] },
          { name: "neighbor", send: [solicit(guestLinkLocal, hostLinkLocal)] },
        ],
      },
      ...fromHost(port, way6),
    ],
  };
}

export const hostPeersSuites: readonly Suite[] = [
  suite("host-peers", 8120, []),
  suite("host-peers-no-map-gw", 8130, ["--no-map-gw"]),
  suite("host-peers-no-loopback", 8140, ["--map-host-loopback", "none"]),
  suite("host-peers-link-local-gateway", 8150, ["--no-map-gw", "-g", "fe80::99"], {
    from: guestLinkLocal,
    to: "fe80::99",
  }),
];
