import { Ipv6Extension } from "@passt-ts/wire/ipv6";
import { fragmentHeader, withExtension } from "../fragments.ts";
import { ping, udp } from "../frames.ts";
import { gateway6, guestLinkLocal, hostLinkLocal } from "../host.ts";
import type { HostAction, Script, Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";
import { solicit } from "./ndp.ts";

const to6 = { to: gateway6 };
const { hopByHop, destination, routing, fragment, noNextHeader } = Ipv6Extension;

/** Padding to 8 bytes (RFC 8200 section 4.2), and an option that nobody knows, with what to do then in its upper bits. */
const padding = Uint8Array.of(0, 0, 1, 4, 0, 0, 0, 0);
const unknownOption = (kind: number): Uint8Array => Uint8Array.of(0, 0, kind, 4, 0, 0, 0, 0);
const pass = unknownOption(0x1e);
const drop = unknownOption(0x5e);
/** A routing header (RFC 8200 section 4.4) of type 0 or of one that nobody knows; what is left to visit is zero. */
const route = (type: number, segmentsLeft: number): Uint8Array => {
  const addresses = Math.max(1, segmentsLeft);
  const header = new Uint8Array(8 + 16 * addresses);
  header.set([0, 2 * addresses, type, segmentsLeft]);
  return header;
};

/** The same packet behind one kind of header after the other. */
function behind(name: string, frame: Uint8Array, begin: readonly HostAction[], end: readonly HostAction[]): Script {
  const headers: readonly (readonly [
    name: string,
    ...headers: readonly (readonly [kind: number, header: Uint8Array])[],
  ])[] = [
    ["hop-by-hop options", [hopByHop, padding]],
    ["destination options", [destination, padding]],
    ["both", [destination, padding], [hopByHop, padding]],
    ["an unknown option to be skipped", [destination, pass]],
    ["an unknown option for which it is dropped", [destination, drop]],
    ["a routing header at its end", [routing, route(253, 0)]],
    ["a routing header with segments left", [routing, route(253, 1)]],
    ["a routing header of type 0 with segments left", [routing, route(0, 1)]],
    ["a fragment header", [fragment, fragmentHeader(0, false)]],
    ["a fragment header behind options", [fragment, fragmentHeader(0, false)], [hopByHop, padding]],
    ["a header longer than the packet", [destination, Uint8Array.of(0, 200, 1, 4, 0, 0, 0, 0)]],
    ["a hop-by-hop header that is not the first", [hopByHop, padding], [destination, padding]],
  ];
  return {
    name,
    steps: [
      { name: "nothing", host: begin, send: [frame] },
      ...headers.map(([what, ...chain]) => ({
        name: what,
        send: [chain.reduce((packet, [kind, header]) => withExtension(packet, kind, header), frame)],
      })),
      { name: "end", host: end },
    ],
  };
}

const connection = new TcpFlow(to6, 43411, 7811);

export const extensionHeadersSuite: Suite = {
  name: "extension-headers",
  options: [],
  scripts: [
    behind(
      "UDP",
      udp(to6, 41061, 7151, "hello"),
      [{ act: "bind", id: "echo", address: "::1", port: 7151, echo: true }],
      [{ act: "close", id: "echo" }],
    ),
    behind("ping", ping(to6, 23, 1, "hello"), [], []),
    {
      name: "others",
      steps: [
        {
          name: "SYN behind hop-by-hop options",
          host: [{ act: "listen", id: "server", address: "::1", port: 7811 }],
          send: [withExtension(connection.syn(), hopByHop, padding)],
        },
        { name: "the guest gives up", send: [connection.reset()] },
        { name: "end", host: [{ act: "close", id: "server" }] },
        {
          name: "neighbor solicitation behind hop-by-hop options",
          send: [withExtension(solicit(guestLinkLocal, hostLinkLocal), hopByHop, padding)],
        },
        {
          name: "neighbor solicitation behind a fragment header",
          send: [withExtension(solicit(guestLinkLocal, hostLinkLocal), fragment, fragmentHeader(0, false))],
        },
        { name: "no next header", send: [withExtension(udp(to6, 41062, 7152, ""), noNextHeader, new Uint8Array(8))] },
      ],
    },
  ],
};
