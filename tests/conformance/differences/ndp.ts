import type { Difference } from "../difference.ts";

export const ndp: readonly Difference[] = [
  {
    script: "ndp/routers",
    frame: "from no address#1",
    field: "ipv6.destination",
    ours: "ff02::1",
    reason: "REF-BUG",
    why: "who asks from :: is answered at all nodes' address (RFC 4861 section 6.2.6); the reference answers to ::",
  },
  ...["from no address#1", "from the link-local address#1"].flatMap((frame): Difference[] => [
    {
      script: "ndp/routers",
      frame,
      field: "ndp.option.3",
      ours: "0440c0ffffffffffffffff0000000020010db8000000000000000000000000",
      reason: "REF-BUG",
      why: "the bits behind the prefix are zero (RFC 4861 section 4.6.2)",
    },
    {
      script: "ndp/routers",
      frame,
      field: "ndp.trailing",
      ours: "none",
      reason: "REF-BUG",
      why: "eight zero bytes are an option of length 0, for which the message must be dropped (RFC 4861 section 4.6)",
    },
  ]),
  ...["routers", "neighbors"].map(
    (script): Difference => ({
      script: `ndp/${script}`,
      frame: "with a wrong hop limit#1",
      field: "absent",
      reason: "REF-BUG",
      why: "it came over a router, and is dropped (RFC 4861 sections 6.1.1 and 7.1.1)",
    }),
  ),
  ...["the guest's own address#1", "the guest's own link-local address#1"].map(
    (frame): Difference => ({
      script: "ndp/neighbors",
      frame,
      field: "absent",
      reason: "REF-BUG",
      why: "the guest's addresses are the guest's",
    }),
  ),
  ...["the gateway's address", "the daemon's link-local address"].map(
    (whose): Difference => ({
      script: "ndp/duplicates",
      frame: `${whose}#1`,
      field: "extra",
      ours: /^ICMPv6 136\/0: fe80::2 > ff02::1, target /,
      reason: "REF-BUG",
      why: "an address that is taken is defended (RFC 4862 section 5.4.3)",
    }),
  ),
];
