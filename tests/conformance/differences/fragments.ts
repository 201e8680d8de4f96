import type { Difference } from "../difference.ts";

interface Echo {
  readonly script: string;
  /** What comes back, and what the host's socket gets, if there is one. */
  readonly reply: RegExp;
  readonly host?: string;
}

const sixtyFour = "0123456789abcdef".repeat(4);
const unreachable = /^ICMPv6 1\/4: 2001:db8::1 > 2001:db8::2$/;

/** The packet arrives with ours, and is answered. */
const arrives = (
  { script, reply, host }: Echo,
  steps: readonly string[],
  reason: Difference["reason"],
  why: string,
): Difference[] =>
  steps.flatMap((step): Difference[] => [
    { script, frame: `${step}#1`, field: "extra", ours: reply, reason, why },
    ...(host === undefined ? [] : [{ script, frame: step, field: "host", reference: "", ours: host, reason, why }]),
  ]);

const udp4: Echo = {
  script: "fragments/UDP over IPv4",
  reply: /^UDP 7141>41051: 192\.0\.2\.1 > 192\.0\.2\.2, 64 bytes$/,
  host: `echo datagram ${sixtyFour}`,
};
const udp6: Echo = {
  script: "fragments/UDP over IPv6",
  reply: /^UDP 7142>41052: 2001:db8::1 > 2001:db8::2, 64 bytes$/,
  host: `echo datagram ${sixtyFour}`,
};
const ping4: Echo = {
  script: "fragments/ping over IPv4",
  reply: /^ICMP 0\/0: 192\.0\.2\.1 > 192\.0\.2\.2, 64 bytes$/,
};
const ping6: Echo = {
  script: "fragments/ping over IPv6",
  reply: /^ICMPv6 129\/0: 2001:db8::1 > 2001:db8::2, 64 bytes$/,
};

const whole = ["both", "the last first", "the last, later", "the first twice"];

export const fragments: readonly Difference[] = [
  ...[udp4, ping4, ping6].flatMap((echo) =>
    arrives(echo, whole, "better", "fragments are put together; the reference drops them"),
  ),
  ...arrives(udp6, whole, "REF-BUG", "fragments are put together (RFC 8200 section 4.5)"),
  ...[udp6, ping6].flatMap((echo) =>
    arrives(
      echo,
      ["the only one"],
      "REF-BUG",
      "a fragment that is all of it is a packet like others (RFC 6946 section 4)",
    ),
  ),
  ...Object.entries({
    both: 2,
    "the last first": 2,
    "the first alone": 1,
    "the last, later": 1,
    "the first twice": 3,
    overlapping: 2,
    "the last alone": 1,
  }).flatMap(([step, count]) =>
    Array.from(
      { length: count },
      (_, i): Difference => ({
        script: udp6.script,
        frame: `${step}#${i + 1}`,
        field: "absent",
        reference: unreachable,
        reason: "REF-BUG",
        why: "the reference takes the fragment header for that of a datagram, and says that its port is closed",
      }),
    ),
  ),
];

const passed = [
  "hop-by-hop options",
  "destination options",
  "both",
  "an unknown option to be skipped",
  "a routing header at its end",
];
const refused = [
  "an unknown option for which it is dropped",
  "a routing header with segments left",
  "a routing header of type 0 with segments left",
  "a header longer than the packet",
  "a hop-by-hop header that is not the first",
];
const behindFragmentHeader = ["a fragment header", "a fragment header behind options"];
const behindHeader =
  "the payload is found behind the header (RFC 8200 section 4); the reference reads it where the header is";

export const extensionHeaders: readonly Difference[] = [
  ...arrives(
    {
      script: "extension-headers/UDP",
      reply: /^UDP 7151>41061: 2001:db8::1 > 2001:db8::2, 5 bytes$/,
      host: "echo datagram hello",
    },
    [...passed, ...behindFragmentHeader],
    "REF-BUG",
    behindHeader,
  ),
  ...arrives(
    { script: "extension-headers/ping", reply: /^ICMPv6 129\/0: 2001:db8::1 > 2001:db8::2, 5 bytes$/ },
    [...passed, ...behindFragmentHeader],
    "REF-BUG",
    behindHeader,
  ),
  ...[...passed, ...refused].map(
    (step): Difference => ({
      script: "extension-headers/UDP",
      frame: `${step}#1`,
      field: "absent",
      reference: unreachable,
      reason: "REF-BUG",
      why: "the reference takes the header for that of a datagram, and says that its port is closed",
    }),
  ),
  ...[
    { frame: "SYN behind hop-by-hop options#1", field: "absent", reference: /^TCP 260>1536 RST,ACK: / },
    {
      frame: "SYN behind hop-by-hop options#1",
      field: "extra",
      ours: /^TCP 7811>43411 SYN,ACK: .* acknowledgment 10000001, window 65535$/,
    },
    { frame: "SYN behind hop-by-hop options", field: "host", reference: "", ours: "server accepted" },
    { frame: "the guest gives up", field: "host", reference: "", ours: "server ECONNRESET" },
    {
      frame: "neighbor solicitation behind hop-by-hop options#1",
      field: "extra",
      ours: /^ICMPv6 136\/0: fe80::2 > fe80::5054:ff:fe00:1, target fe80::2$/,
    },
  ].map((rest): Difference => ({ script: "extension-headers/others", ...rest, reason: "REF-BUG", why: behindHeader })),
];
