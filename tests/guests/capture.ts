// What tshark says of a capture.

import { resetPort, sinkPort, sourcePort } from "./ports.ts";
import { runToEnd } from "./process.ts";

/** What no frame of ours may be. Frames below 60 bytes are padded; longer ones have nothing behind their packet. */
const faults = [
  "_ws.malformed",
  "_ws.short",
  "_ws.unreassembled",
  "frame.len != frame.cap_len",
  "ip.bogus_ip_length",
  "ip.bogus_header_length",
  "ipv6.plen_exceeds_framing",
  "ipv6.plen_zero",
  "tcp.bogus_header_length",
  "tcp.short_segment",
  "udp.length.bad",
  'ip.checksum.status == "Bad"',
  'tcp.checksum.status == "Bad"',
  'udp.checksum.status == "Bad"',
  'icmp.checksum.status == "Bad"',
  'icmpv6.checksum.status == "Bad"',
  "(frame.len > 60 && (eth.padding || eth.trailer || eth.fcs))",
];

const checksums = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"].flatMap((name) => [
  "-o",
  `${name}:TRUE`,
]);

// Streams are noise: tshark is not to guess what protocol they might be.
const streams = [sourcePort, sinkPort, resetPort].flatMap((port) => ["-d", `tcp.port==${port},data`]);

/** The first frames of a capture in which tshark finds fault, a line each. */
export function captureFaults(file: string): string[] {
  const plain = ["-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.try_heuristic_first:FALSE", "-n"];
  const filter = faults.join(" || ");
  const output = runToEnd(["tshark", "-r", file, ...plain, ...streams, ...checksums, "-Y", filter]);
  return output.split("\n").filter(Boolean).slice(0, 20);
}

/** How many frames a capture has. */
export function frameCount(file: string): number {
  return Number(
    /=\s*(\d+)|:\s*(\d+)\s*$/m
      .exec(runToEnd(["capinfos", "-M", "-c", file]))
      ?.slice(1)
      .find(Boolean),
  );
}
