import { ping } from "../frames.ts";
import { gateway4, gateway6, guestLinkLocal, host4, host6 } from "../host.ts";
import type { Suite } from "../script.ts";

const to4 = { to: gateway4 };
const to6 = { to: gateway6 };

export const icmpSuite: Suite = {
  name: "icmp",
  options: [],
  scripts: [
    {
      name: "pings of the gateway",
      steps: [
        { name: "IPv4", send: [ping(to4, 1, 1, "abcdefgh")] },
        { name: "IPv4, next in the sequence", send: [ping(to4, 1, 2, "abcdefgh")] },
        { name: "IPv4, another identifier", send: [ping(to4, 0x8001, 1, "ijk")] },
        { name: "IPv4, identifier 0", send: [ping(to4, 0, 7, "l")] },
        { name: "IPv4, no data", send: [ping(to4, 1, 3, "")] },
        { name: "IPv6", send: [ping(to6, 1, 1, "abcdefgh")] },
        { name: "IPv6, next in the sequence", send: [ping(to6, 1, 2, "abcdefgh")] },
        { name: "IPv6, another identifier", send: [ping(to6, 0x8001, 1, "ijk")] },
        { name: "IPv6 from the link-local address", send: [ping({ from: guestLinkLocal, ...to6 }, 5, 1, "abcdefgh")] },
      ],
    },
    {
      name: "pings of others",
      steps: [
        { name: "the host's own IPv4 address", send: [ping({ to: host4 }, 2, 1, "abcdefgh")] },
        { name: "the host's own IPv6 address", send: [ping({ to: host6 }, 2, 1, "abcdefgh")] },
        { name: "IPv4 broadcast", send: [ping({ to: "255.255.255.255" }, 3, 1, "abcdefgh")] },
        { name: "IPv4 loopback", send: [ping({ to: "127.0.0.1" }, 3, 1, "abcdefgh")] },
        { name: "IPv6 loopback", send: [ping({ to: "::1" }, 3, 1, "abcdefgh")] },
      ],
    },
    {
      name: "hop limits",
      steps: [
        { name: "IPv4, 1", send: [ping({ ...to4, hopLimit: 1 }, 4, 1, "abcdefgh")] },
        { name: "IPv6, 1", send: [ping({ ...to6, hopLimit: 1 }, 4, 1, "abcdefgh")] },
      ],
    },
  ],
};
