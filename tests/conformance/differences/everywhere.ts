import type { Difference } from "../difference.ts";

export const everywhere: readonly Difference[] = [
  {
    script: "*/start",
    frame: "the rings are ready#1",
    field: "extra",
    ours: /^ARP request: (192\.0\.2|10\.9\.9)\.1 is at 9a:55:9a:55:9a:55, for (192\.0\.2\.2|10\.0\.2\.15)$/,
    reason: "REF-BUG",
    why: "the question for the guest's MAC address goes out when the ring is ready; the reference asks before, and it is lost",
  },
  {
    script: "*/start",
    frame: "the rings are ready#2",
    field: "extra",
    ours: /^ICMPv6 135\/0: fe80::(2 > ff02::1:ff00:2, target 2001:db8::2|99 > ff02::1:ff00:15, target 2001:db8:5::15)$/,
    reason: "REF-BUG",
    why: "the same over IPv6",
  },
  {
    script: "*",
    frame: "*",
    field: "udp.checksum",
    ours: "right",
    reason: "better",
    why: "without GUEST_CSUM a guest gets complete checksums over IPv4 too, where the reference has none",
  },
  {
    script: "*",
    frame: "*",
    field: "tcp.options",
    reference: "0204f00001030307",
    ours: "0204f00001030308",
    reason: "choice",
    why: "window scale 8 allows a window of 16 MiB on every host; the reference goes by the host's wmem_max, 4 MiB on that of the record",
  },
];
