import type { Difference } from "../difference.ts";

export const quotes: readonly Difference[] = [
  {
    script: "udp/closed port",
    frame: "*",
    field: "quote.trailing",
    ours: "none",
    reason: "REF-BUG",
    why: "nothing comes behind the quoted datagram",
  },
  {
    script: "udp/closed port",
    frame: "IPv4*",
    field: "quote.ipv4.ttl",
    ours: "64",
    reason: "better",
    why: "the quote has the guest's TTL",
  },
  {
    script: "udp/closed port",
    frame: "IPv4*",
    field: "quote.payload",
    reason: "better",
    why: "the quote goes on up to 576 bytes (RFC 1812 section 4.3.2.3); the reference ends it after 8",
  },
  {
    script: "udp/closed port",
    frame: "IPv6*",
    field: "quote.ipv6.flowLabel",
    ours: "0",
    reason: "REF-BUG",
    why: "the quote has the guest's flow label; the reference has the number of its socket",
  },
  {
    script: "udp/closed port",
    frame: "IPv6*",
    field: "quote.ipv6.hopLimit",
    ours: "64",
    reason: "better",
    why: "the quote has the guest's hop limit",
  },
];

export const longQuotes: readonly Difference[] = [
  {
    script: "udp/closed port",
    frame: "IPv4*",
    field: "quote.udp.checksum",
    ours: "right",
    reason: "better",
    why: "the quote has a checksum, as what the guest sent",
  },
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
