// Of options that turn something off, and of hosts that lack something.

import type { Difference } from "../difference.ts";

const start = (suites: readonly string[], frame: number, ours: RegExp, why: string): Difference[] =>
  suites.map((suite) => ({
    script: `${suite}/start`,
    frame: `the rings are ready#${frame}`,
    field: "extra",
    ours,
    reason: "REF-BUG",
    why,
  }));

const arpQuestion = /^ARP request: 192\.0\.2\.1 is at 9a:55:9a:55:9a:55, for 192\.0\.2\.2$/;
const ndpQuestion = /^ICMPv6 135\/0: fe80::2 > ff02::1:ff00:2, target 2001:db8::2$/;
const onlyFamily =
  "the question for the guest's MAC address, in the one family that there is; again after a second without answer";

/** Questions where there is one family, or not the usual addresses; the others are in everywhere.ts. */
const questions: readonly Difference[] = [
  ...start(["no-icmp", "no-ndp", "only-ipv4"], 2, arpQuestion, onlyFamily),
  ...start(["only-ipv6", "no-gateway", "no-next-hop"], 1, ndpQuestion, onlyFamily),
  ...[1, 2].flatMap((frame) =>
    start(
      ["local-mode"],
      frame,
      /^ARP request: 169\.254\.2\.2 is at 9a:55:9a:55:9a:55, for 169\.254\.2\.1$/,
      onlyFamily,
    ),
  ),
  ...start(
    ["host-peers-link-local-gateway"],
    2,
    /^ICMPv6 135\/0: fe80::99 > ff02::1:ff00:2, target 2001:db8::2$/,
    "the question for the guest's MAC address",
  ),
];

export const services: readonly Difference[] = [
  ...questions,
  {
    script: "*/configuration",
    frame: "routers#1",
    field: "ndp.option.3",
    reference: "0440c0ffffffffffffffff0000000020010db8000000000000000000000002",
    ours: "0440c0ffffffffffffffff0000000020010db8000000000000000000000000",
    reason: "REF-BUG",
    why: "the bits behind the prefix are zero (RFC 4861 section 4.6.2)",
  },
  {
    script: "*/configuration",
    frame: "routers#1",
    field: "ndp.trailing",
    reference: "0000000000000000",
    ours: "none",
    reason: "REF-BUG",
    why: "eight zero bytes are an option of length 0, for which the message must be dropped (RFC 4861 section 4.6)",
  },
  ...["no-dhcpv6", "local-mode"].map(
    (suite): Difference => ({
      script: `${suite}/configuration`,
      frame: "routers#1",
      field: "ra.flags",
      reference: "80",
      ours: "00",
      reason: "REF-BUG",
      why: "no addresses are announced by DHCPv6 (RFC 4861 section 4.2), which does not answer",
    }),
  ),
  {
    script: "local-mode/configuration",
    frame: "routers#1",
    field: "ndp.option.3",
    reference: "0440c0ffffffffffffffff00000000fe80000000000000505400fffe000001",
    ours: "none",
    reason: "REF-BUG",
    why: "the link-local prefix is announced by nobody (RFC 4861 section 4.6.2)",
  },
  {
    script: "*/configuration",
    frame: "DHCPv6#1",
    field: "ipv6.flowLabel",
    reference: "63412",
    ours: "23456",
    reason: "better",
    why: "the low bits of the transaction id as the message shows it; the reference has its bytes in the reverse order",
  },
  ...[
    { frame: "DHCP#1", field: "dhcp.option.51", reference: "ffffffff", ours: "00000e10" },
    {
      frame: "DHCPv6#1",
      field: "dhcpv6.option.3",
      reference: "00000009ffffffffffffffff",
      ours: "000000090000070800000b40",
    },
    {
      frame: "DHCPv6#1",
      field: "dhcpv6.option.3.option.5",
      reference: "2001:db8::2 ffffffffffffffff",
      ours: "2001:db8::2 00000e1000000e10",
    },
  ].map(
    (rest): Difference => ({
      script: "*/configuration",
      ...rest,
      reason: "better",
      why: "a lease of an hour, so that the guest hears of another address or name server; the reference's never end",
    }),
  ),
  {
    script: "*",
    frame: "TCP, closed port#1",
    field: "tcp.sequence",
    ours: "0",
    reason: "better",
    why: "the reset of a SYN has sequence number 0 (RFC 9293 section 3.10.7.1); the reference shows an initial one",
  },
  {
    script: "*",
    frame: "TCP, closed port#1",
    field: "tcp.window",
    reference: "14600",
    ours: "0",
    reason: "better",
    why: "a reset offers no window",
  },
  {
    script: "mtu-none/*",
    frame: "TCP#1",
    field: "tcp.options",
    reference: "020405a801030307",
    ours: "0204f00001030308",
    reason: "choice",
    why: "the MSS is what we can take (RFC 9293 section 3.7.1), and the guest keeps to its own MTU; the reference assumes 1500",
  },
  {
    script: "no-gateway/the daemon's link-local address",
    frame: "*",
    field: "absent",
    reference: /^(ICMPv6 (129\/0|1\/4)|TCP \d+>\d+ RST,ACK): fe80::2 > fe80::5054:ff:fe00:1/,
    reason: "choice",
    why: "the guest's router is ours alone, and not the host, where its address is not mapped; the reference has one address for both",
  },
];
