import type { Difference } from "../difference.ts";

const dnsServers = "20010db8005300000000000000000053";
const searchList = "076578616d706c65047465737400036c6162076578616d706c65047465737400";

const noAssociation = (script: string, frame: string, why: string): Difference[] =>
  ["dhcpv6.option.3", "dhcpv6.option.3.option.5"].map((field) => ({
    script: `dhcpv6/${script}`,
    frame,
    field,
    ours: "none",
    reason: "REF-BUG",
    why,
  }));

/** T1 and T2 of an association, preferred and valid lifetime of an address: half, four fifths and all of an hour. */
const leased = { association: "000000090000070800000b40", address: "2001:db8::2 00000e1000000e10" };
const anHour = "a lease of an hour, renewed at half, so that the guest hears of another address or name server";

const leases: readonly Difference[] = [
  { field: "dhcpv6.option.3", reference: "00000009ffffffffffffffff", ours: leased.association },
  { field: "dhcpv6.option.3.option.5", reference: "2001:db8::2 ffffffffffffffff", ours: leased.address },
].map((rest) => ({ script: "dhcpv6/*", frame: "*", ...rest, reason: "better", why: anHour }));

export const dhcpv6: readonly Difference[] = [
  ...leases,
  {
    script: "dhcpv6/ways to ask",
    frame: "information request#1",
    field: "dhcpv6.option.32",
    ours: "00000e10",
    reason: "better",
    why: "and who has its address from elsewhere asks for the settings as often (RFC 8415 section 21.23)",
  },
  {
    script: "dhcpv6*",
    frame: "*",
    field: "ipv6.flowLabel",
    ours: "23456",
    reason: "better",
    why: "the low bits of the transaction id as the message shows it; the reference has its bytes in the reverse order",
  },
  ...[
    ["address", "rebind#1", "REBIND is answered, without a server identifier above all (RFC 8415 section 18.3.5)"],
    ["address", "release#1", "RELEASE is answered (RFC 8415 section 18.3.7)"],
    [
      "ways to ask",
      "information request of nobody#1",
      "the client identifier is optional there (RFC 8415 section 18.2.6)",
    ],
    ["wrong addresses", "rebind#1", "REBIND is answered (RFC 8415 section 18.3.5)"],
    ["wrong addresses", "decline#1", "DECLINE is answered (RFC 8415 section 18.3.8)"],
  ].map(
    ([script, frame, why]): Difference => ({
      script: `dhcpv6/${script}`,
      frame,
      field: "extra",
      ours: /^DHCPv6 REPLY: fe80::2 > fe80::5054:ff:fe00:1/,
      reason: "REF-BUG",
      why,
    }),
  ),
  {
    script: "dhcpv6/ways to ask",
    frame: "solicit with rapid commit#1",
    field: "absent",
    reason: "better",
    why: "the reference knows no rapid commit",
  },
  {
    script: "dhcpv6/ways to ask",
    frame: "solicit with rapid commit#1",
    field: "extra",
    ours: /^DHCPv6 REPLY: fe80::2 > fe80::5054:ff:fe00:1/,
    reason: "better",
    why: "a SOLICIT with rapid commit is answered with a REPLY (RFC 8415 section 18.3.1)",
  },
  ...[
    ["address", "confirm#1"],
    ["wrong addresses", "confirm of another address of the network#1"],
    ["wrong addresses", "confirm#1"],
  ].map(
    ([script, frame]): Difference => ({
      script: `dhcpv6/${script}`,
      frame,
      field: "dhcpv6.option.13",
      ours: script === "wrong addresses" && frame === "confirm#1" ? "0004" : "0000",
      reason: "REF-BUG",
      why: "CONFIRM is answered with a status for the whole message: are the addresses of this link? (RFC 8415 section 18.3.3)",
    }),
  ),
  ...noAssociation("address", "confirm#1", "and with no associations"),
  ...["confirm#1", "confirm of another address of the network#1"].flatMap((frame) =>
    ["dhcpv6.option.3", "dhcpv6.option.3.option.13"].map(
      (field): Difference => ({
        script: "dhcpv6/wrong addresses",
        frame,
        field,
        ours: "none",
        reason: "REF-BUG",
        why: "and with no associations",
      }),
    ),
  ),
  ...["dhcpv6.option.23", "dhcpv6.option.24"].map(
    (field): Difference => ({
      script: "dhcpv6/address",
      frame: "confirm#1",
      field,
      ours: "none",
      reason: "better",
      why: "nor does it configure anything",
    }),
  ),
  ...[
    "solicit without an association#1",
    "solicit of a temporary address and a prefix#1",
    "information request#1",
  ].flatMap((frame) => noAssociation("ways to ask", frame, "no association is given that the client did not ask for")),
  {
    script: "dhcpv6/ways to ask",
    frame: "solicit of a temporary address and a prefix#1",
    field: "dhcpv6.option.4",
    ours: /^00000007000d....0002/,
    reason: "REF-BUG",
    why: "an IA_TA is answered: NoAddrsAvail (RFC 8415 section 18.3.9)",
  },
  {
    script: "dhcpv6/ways to ask",
    frame: "solicit of a temporary address and a prefix#1",
    field: "dhcpv6.option.25",
    ours: /^000000080000000000000000000d....0006/,
    reason: "REF-BUG",
    why: "an IA_PD is answered: NoPrefixAvail (RFC 8415 section 18.3.9)",
  },
  ...["request of another address#1", "request of an address of another network#1"].flatMap((frame): Difference[] => [
    {
      script: "dhcpv6/wrong addresses",
      frame,
      field: "dhcpv6.option.3.option.13",
      ours: /^0004/,
      reason: "better",
      why: "the same status in other words",
    },
    {
      script: "dhcpv6/wrong addresses",
      frame,
      field: "dhcpv6.option.23",
      ours: dnsServers,
      reason: "better",
      why: "the name servers are right whatever the address is",
    },
    {
      script: "dhcpv6/wrong addresses",
      frame,
      field: "dhcpv6.option.24",
      ours: searchList,
      reason: "better",
      why: "the same",
    },
  ]),
  ...[
    { field: "dhcpv6.option.3", reference: "000000090000000000000000", ours: leased.association },
    { field: "dhcpv6.option.3.option.13", ours: "none" },
    { field: "dhcpv6.option.3.option.5", ours: "2001:db8:99::1 0000000000000000" },
    { field: "dhcpv6.option.3.option.5#2", ours: leased.address },
    { field: "dhcpv6.option.23", ours: dnsServers },
    { field: "dhcpv6.option.24", ours: searchList },
  ].map(
    (rest): Difference => ({
      script: "dhcpv6/wrong addresses",
      frame: "renew#1",
      ...rest,
      reason: "REF-BUG",
      why: "the wrong address comes back with lifetimes 0, the right one with it (RFC 8415 section 18.3.4)",
    }),
  ),
];

export const searchLists: readonly Difference[] = [
  {
    script: "dhcp-options/address",
    frame: "*",
    field: "dhcp.option.119",
    ours: "036f6e65076578616d706c650474657374000374776fc004",
    reason: "REF-BUG",
    why: "--search takes a list separated by spaces; the reference sends it as one name",
  },
  {
    script: "dhcpv6-options/address",
    frame: "*",
    field: "dhcpv6.option.24",
    ours: "036f6e65076578616d706c650474657374000374776f076578616d706c65047465737400",
    reason: "REF-BUG",
    why: "the same",
  },
];
