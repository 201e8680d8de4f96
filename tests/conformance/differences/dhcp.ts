import type { Difference } from "../difference.ts";

/** Users ask that their guests follow the host; a lease that is never renewed keeps them from it. */
const anHour = "a lease of an hour, renewed at half, so that the guest hears of another address, router or name server";

export const dhcp: readonly Difference[] = [
  {
    script: "dhcp/*",
    frame: "*",
    field: "dhcp.option.51",
    reference: "ffffffff",
    ours: "00000e10",
    reason: "better",
    why: `${anHour}; where options give all that DHCP tells it is for good (dhcp-options)`,
  },
  {
    script: "dhcp/ways to ask",
    frame: "BOOTP#1",
    field: "absent",
    reason: "REF-BUG",
    why: "a BOOTP client gets a BOOTP reply, without a message type (RFC 1534 section 2)",
  },
  {
    script: "dhcp/ways to ask",
    frame: "BOOTP#1",
    field: "extra",
    ours: /^DHCP BOOTP: 192\.0\.2\.1 > 192\.0\.2\.2/,
    reason: "REF-BUG",
    why: "the same",
  },
  ...["request", "renewal"].flatMap((what): Difference[] => [
    {
      script: "dhcp/other messages",
      frame: `${what} of another address#1`,
      field: "absent",
      reason: "REF-BUG",
      why: "the reference acknowledges an address that the client did not ask for",
    },
    {
      script: "dhcp/other messages",
      frame: `${what} of another address#1`,
      field: "extra",
      ours: /^DHCP NAK: 192\.0\.2\.1 > 255\.255\.255\.255/,
      reason: "REF-BUG",
      why: "it is refused (RFC 2131 section 4.3.2)",
    },
  ]),
  {
    script: "dhcp/other messages",
    frame: "request from another server#1",
    field: "absent",
    reason: "REF-BUG",
    why: "a request that names another server is that one's (RFC 2131 section 4.3.2)",
  },
  {
    script: "dhcp/other messages",
    frame: "inform#1",
    field: "extra",
    ours: /^DHCP ACK: 192\.0\.2\.1 > 192\.0\.2\.2/,
    reason: "better",
    why: "INFORM is answered (RFC 2131 section 4.3.5)",
  },
];

export const arp: readonly Difference[] = [
  {
    script: "arp/probes and announcements",
    frame: "probe for another address#1",
    field: "absent",
    reason: "REF-BUG",
    why: "a probe asks whether an address is taken (RFC 5227 section 2.1): the guest may have every one but the gateway's",
  },
];
