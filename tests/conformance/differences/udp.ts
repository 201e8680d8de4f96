import type { Difference } from "../difference.ts";

/** Errors about closed ports, of both families. */
const quoting = [
  { script: "udp/closed port", v4: "IPv4*", v6: "IPv6*" },
  { script: "*/IPv4", v4: "UDP, closed port#1" },
  { script: "*/IPv6", v6: "UDP, closed port#1" },
];

const quotes4: readonly Difference[] = quoting.flatMap(({ script, v4: frame }): Difference[] =>
  frame === undefined
    ? []
    : [
        {
          script,
          frame,
          field: "quote.trailing",
          reference: "00000000",
          ours: "none",
          reason: "REF-BUG",
          why: "nothing comes behind the quoted datagram",
        },
        {
          script,
          frame,
          field: "quote.ipv4.ttl",
          reference: "255",
          ours: "64",
          reason: "better",
          why: "the quote has the guest's TTL",
        },
        {
          script,
          frame,
          field: "quote.udp.checksum",
          reference: "none",
          ours: "right",
          reason: "better",
          why: "the quote has a checksum, as what the guest sent",
        },
      ],
);

const quotes6: readonly Difference[] = quoting.flatMap(({ script, v6: frame }): Difference[] =>
  frame === undefined
    ? []
    : [
        {
          script,
          frame,
          field: "quote.trailing",
          reference: /^0+$/,
          ours: "none",
          reason: "REF-BUG",
          why: "nothing comes behind the quoted datagram",
        },
        {
          script,
          frame,
          field: "quote.ipv6.flowLabel",
          ours: "0",
          reason: "REF-BUG",
          why: "the quote has the guest's flow label; the reference has the number of its socket",
        },
        {
          script,
          frame,
          field: "quote.ipv6.hopLimit",
          reference: "255",
          ours: "64",
          reason: "better",
          why: "the quote has the guest's hop limit",
        },
      ],
);

export const quotes: readonly Difference[] = [
  ...quotes4,
  ...quotes6,
  {
    script: "udp/closed port",
    frame: "IPv4*",
    field: "quote.payload",
    reason: "better",
    why: "the quote goes on up to 576 bytes (RFC 1812 section 4.3.2.3); the reference ends it after 8",
  },
];

export const longQuotes: readonly Difference[] = [
  ...["IPv4", "IPv6"].flatMap((version) =>
    [`quote.${version.toLowerCase()}.length`, "quote.udp.length"].map(
      (field): Difference => ({
        script: "udp/closed port",
        frame: `${version}, more than an error quotes#1`,
        field,
        ours: /^\d+ bytes more than there are$/,
        reason: "REF-BUG",
        why: "the quote has the lengths of the whole datagram, of which only a part fits (RFC 4443 section 2.4 c)",
      }),
    ),
  ),
  {
    script: "udp/closed port",
    frame: "IPv6, more than an error quotes#1",
    field: "quote.udp.checksum",
    ours: "none",
    reason: "better",
    why: "the error is no longer than the minimum MTU (RFC 4443 section 2.4 c), and the rest of the datagram is not kept",
  },
];

export const udp: readonly Difference[] = [
  {
    script: "udp/where nothing goes",
    frame: "length beyond the packet#1",
    field: "absent",
    reason: "REF-BUG",
    why: "a datagram longer than its packet is malformed; the reference sends it on",
  },
  ...["one byte too many#1", "far too many#1"].map(
    (frame): Difference => ({
      script: "udp-small-buffers/datagrams that do not fit a receive buffer",
      frame,
      field: "absent",
      reason: "REF-BUG",
      why: "a datagram that does not fit is dropped and counted; the reference cuts it, and its lengths hide that",
    }),
  ),
];
