import { arp } from "../frames.ts";
import { gateway4, guestMac, host4, ourMac } from "../host.ts";
import type { Suite } from "../script.ts";

const UNSPECIFIED = "0.0.0.0";
const OTHER = "192.0.2.77";
const FAR = "203.0.113.9";

export const arpSuite: Suite = {
  name: "arp",
  options: [],
  scripts: [
    {
      name: "requests",
      steps: [
        { name: "gateway", send: [arp({ sender: host4, target: gateway4 })] },
        { name: "another address on the link", send: [arp({ sender: host4, target: OTHER })] },
        { name: "address of another network", send: [arp({ sender: host4, target: FAR })] },
        { name: "the guest's own address", send: [arp({ sender: host4, target: host4 })] },
        { name: "sent to the daemon alone", send: [arp({ sender: host4, target: gateway4, toMac: ourMac })] },
        {
          name: "two at once",
          send: [arp({ sender: host4, target: gateway4 }), arp({ sender: host4, target: OTHER })],
        },
      ],
    },
    {
      name: "probes and announcements",
      steps: [
        { name: "probe for the guest's address", send: [arp({ sender: UNSPECIFIED, target: host4 })] },
        { name: "probe for the gateway's address", send: [arp({ sender: UNSPECIFIED, target: gateway4 })] },
        { name: "probe for another address", send: [arp({ sender: UNSPECIFIED, target: OTHER })] },
        { name: "announcement of the guest's address", send: [arp({ sender: host4, target: host4 })] },
        { name: "announcement of another address", send: [arp({ sender: OTHER, target: OTHER })] },
      ],
    },
    {
      name: "not requests",
      steps: [
        {
          name: "reply",
          send: [
            arp({
              operation: 2,
              sender: host4,
              target: gateway4,
              targetMac: ourMac,
              toMac: ourMac,
              senderMac: guestMac,
            }),
          ],
        },
        { name: "reverse request", send: [arp({ operation: 3, sender: host4, target: gateway4 })] },
        { name: "runt", send: [arp({ sender: host4, target: gateway4 }).slice(0, 30)] },
      ],
    },
  ],
};
