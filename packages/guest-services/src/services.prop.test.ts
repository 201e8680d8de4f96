import { expect, test } from "bun:test";
import { Packet } from "@passt-ts/wire/packet";
import { bytesOf, POISON, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import fc from "fast-check";
import { ARP_REPLY_BYTES, ArpResponder } from "./arp.ts";
import { DHCP_REPLY_BYTES_MAX, DhcpServer } from "./dhcp.ts";
import { DHCPV6_REPLY_BYTES_MAX, Dhcpv6Server } from "./dhcpv6.ts";
import { NDP_REPLY_BYTES_MAX, NdpResponder } from "./ndp.ts";
import type { Responder } from "./testing/ask.ts";
import { icmp6, udp4, udp6 } from "./testing/ask.ts";

const ourMac = bytesOf("9a559a559a55");
const guest4 = Uint32Array.of(0, 0, 0xffff, 0xc000_0202);
const guest6 = Uint32Array.of(0x2001_0db8, 0, 0, 2);
const ourLinkLocal = Uint32Array.of(0xfe80_0000, 0, 0, 1);
const searchDomains = ["example.org", `${"s".repeat(60)}.example.org`];

const arp = new ArpResponder({ ourMac, guestAddresses: [guest4] });
const dhcp = new DhcpServer({
  ourMac,
  serverAddress: Uint32Array.of(0, 0, 0xffff, 0xc000_0201),
  guestAddress: guest4,
  prefixLength: 24,
  searchDomains,
});
const ndp = new NdpResponder({
  ourMac,
  ourLinkLocal,
  guestAddresses: [guest6],
  router: { prefix: guest6, dnsServers: [ourLinkLocal], searchDomains },
});
const dhcpv6 = new Dhcpv6Server({ ourMac, ourLinkLocal, guestAddress: guest6, duidSeconds: 1, searchDomains });

const LINK_LOCAL = "fe80000000000000 0000000000000099";
const ALL_SERVERS = "ff02000000000000 0000000000010002";
const CLIENT = "0001 000a 00030001020000000001";
const SERVER = "0002 000e 00010001 00000001 9a559a559a55";
const ADDRESS = `0005 0018 20010db8000000000000000000000007 00000000 00000000`;

const dhcpRequest = (options: string) =>
  udp4(
    "00000000",
    "ffffffff",
    "0044 0043",
    `01 01 06 00 ${"11".repeat(8)} ${"00".repeat(16)} 020000000001 ${"00".repeat(202)} 63825363 ${options} ff`,
  );

/** Good requests, from which the fuzz starts. */
const requests: readonly (readonly [Responder, number, Uint8Array])[] = [
  [
    arp,
    ARP_REPLY_BYTES,
    bytesOf("ffffffffffff 020000000001 0806 0001 0800 0604 0001 020000000001 c0000202 000000000000 c0000201"),
  ],
  [dhcp, DHCP_REPLY_BYTES_MAX, dhcpRequest("35 01 01 37 06 01 03 06 77 1a 35 39 02 05dc")],
  [
    dhcp,
    DHCP_REPLY_BYTES_MAX,
    dhcpRequest("35 01 03 32 04 c0000202 36 04 c0000201 50 00 3d 07 01020000000001 37 02 3d 01"),
  ],
  [
    ndp,
    NDP_REPLY_BYTES_MAX,
    icmp6(LINK_LOCAL, ALL_SERVERS, `87 00 0000 00000000 fe80${"00".repeat(13)}01 01 01 020000000001`),
  ],
  [ndp, NDP_REPLY_BYTES_MAX, icmp6(LINK_LOCAL, ALL_SERVERS, "85 00 0000 00000000 01 01 020000000001")],
  ...["01", "03", "04", "05", "06", "08", "0b"].map((type): readonly [Responder, number, Uint8Array] => {
    const server = ["03", "05", "08"].includes(type) ? SERVER : "";
    const association = type === "0b" ? "" : `0003 0028 00000001 00000000 00000000 ${ADDRESS}`;
    const message = `${type} 000001 ${CLIENT} ${server} ${association} 000e 0000`;
    return [dhcpv6, DHCPV6_REPLY_BYTES_MAX, udp6(LINK_LOCAL, ALL_SERVERS, "0222 0223", message)];
  }),
];

test("each good request is answered", () => {
  for (const [service, bytesMax, frame] of requests) {
    const packet = new Packet();
    expect(packet.parse(viewOf(frame), 0, frame.length, frame.length)).toBe(0);
    const reply = viewOf(new Uint8Array(bytesMax));
    expect(service.respond(packet, viewOf(frame), reply, 0)).toBeGreaterThan(0);
  }
});

test("any change, any cut: no exception, no write beside the reply, no read behind the frame", () => {
  const changes = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 });
  const packet = new Packet();
  fc.assert(
    fc.property(fc.nat(requests.length - 1), changes, fc.nat(500), fc.boolean(), (which, edits, cut, isCut) => {
      const [service, bytesMax, good] = requests[which] as (typeof requests)[number];
      const frame = good.slice();
      for (const [at, value] of edits) frame[at % frame.length] = value;
      // The view ends with the gathered bytes: a read behind them throws.
      const gathered = isCut ? cut % (frame.length + 1) : frame.length;
      const view = new DataView(frame.buffer, 0, gathered);
      if (packet.parse(view, 0, gathered, frame.length) !== 0) return;
      const reply = new Uint8Array(bytesMax + 7).fill(POISON);
      // No room behind the longest reply: a write there throws.
      const length = service.respond(packet, view, new DataView(reply.buffer, 0, 3 + bytesMax), 3);
      expect(length).toBeGreaterThanOrEqual(0);
      expect(length).toBeLessThanOrEqual(bytesMax);
      expect(reply.subarray(0, 3).every((byte) => byte === POISON)).toBe(true);
      expect(reply.subarray(3 + length).every((byte) => byte === POISON)).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test("noise behind good headers: no exception", () => {
  const packet = new Packet();
  fc.assert(
    fc.property(fc.nat(requests.length - 1), fc.uint8Array({ maxLength: 600, max: 70 }), (which, noise) => {
      const [service, bytesMax, good] = requests[which] as (typeof requests)[number];
      const from = Math.min(good.length, packetStart(good));
      const frame = good.slice();
      for (let i = 0; from + i < frame.length && i < noise.length; i++) frame[from + i] = noise[i] as number;
      if (packet.parse(viewOf(frame), 0, frame.length, frame.length) !== 0) return;
      const length = service.respond(packet, viewOf(frame), viewOf(new Uint8Array(bytesMax)), 0);
      expect(length).toBeLessThanOrEqual(bytesMax);
    }),
    { numRuns: 2000 },
  );
});

/** Where the variable part of a request begins: DHCP options, the message behind UDP, the one behind IPv6. */
function packetStart(frame: Uint8Array): number {
  if (frame[12] === 0x08 && frame[13] === 0x00) return 42 + 240;
  return frame[20] === 17 ? 62 + 4 : 54 + 4;
}
