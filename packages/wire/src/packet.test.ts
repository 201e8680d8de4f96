import { expect, test } from "bun:test";
import { DROP_REASONS, Drop, Packet } from "./packet.ts";
import { bytesOf, viewOf } from "./testing/frame-bytes.ts";

const ETHERNET4 = "9a559a559a55 020000000001 0800";
const ETHERNET6 = "9a559a559a55 020000000001 86dd";
const LINK_LOCAL = "fe80000000000000 00000000000000aa";
const GLOBAL = "20010db800000000 0000000000000099";

/** The frame at offset 7 of a view, in which other bytes stand before and behind. */
function parse(hex: string, frameLength?: number, gathered?: number): { reason: number; packet: Packet } {
  const frame = bytesOf(hex);
  const bytes = new Uint8Array(7 + frame.length + 9).fill(0xa5);
  bytes.set(frame, 7);
  const packet = new Packet();
  const reason = packet.parse(viewOf(bytes), 7, 7 + (gathered ?? frame.length), frameLength ?? frame.length);
  return { reason, packet };
}

const ipv4 = (changes: { fragment?: string; total?: string; source?: string; destination?: string } = {}) =>
  `${ETHERNET4} 45 b8 ${changes.total ?? "001d"} beef ${changes.fragment ?? "4000"} 40 11 0000
   ${changes.source ?? "c0000202"} ${changes.destination ?? "c0000201"} 1234 0035 0009 0000 61`;

const ipv6 = (next: string, payload: string, source = LINK_LOCAL, destination = GLOBAL) => {
  const length = bytesOf(payload).length.toString(16).padStart(4, "0");
  return `${ETHERNET6} 6ab12345 ${length} ${next} 3f ${source} ${destination} ${payload}`;
};

test("a UDP datagram over IPv4, with padding behind it", () => {
  const { reason, packet } = parse(`${ipv4()} 00 00 00`, 60, 46);
  expect(reason).toBe(Drop.none);
  expect({ ...packet }).toEqual({
    etherType: 0x0800,
    ipVersion: 4,
    destinationMacAt: 7,
    sourceMacAt: 13,
    ipAt: 21,
    sourceAt: 33,
    destinationAt: 37,
    protocol: 17,
    hopLimit: 64,
    trafficClass: 0xb8,
    isFragment: false,
    hasFragmentHeader: false,
    fragmentOffset: 0,
    moreFragments: false,
    identification: 0xbeef,
    l4At: 41,
    l4Offset: 34,
    l4Length: 9,
    end: 53,
  });
});

test("IPv4 options are skipped", () => {
  const { reason, packet } = parse(
    `${ETHERNET4} 47 00 0020 0000 0000 40 11 0000 c0000202 c0000201 94040000 01010100 aabbccdd`,
  );
  expect([reason, packet.l4Offset, packet.l4Length]).toEqual([0, 42, 4]);
});

test.each([
  ["2000", 0, true],
  ["2001", 8, true],
  ["0003", 24, false],
  ["1fff", 65_528, false],
])("IPv4 fragment word %p is a fragment at %p, more to come: %p", (fragment, offset, more) => {
  const { reason, packet } = parse(ipv4({ fragment }));
  expect(reason).toBe(Drop.none);
  expect([packet.isFragment, packet.fragmentOffset, packet.moreFragments, packet.identification]).toEqual([
    true,
    offset,
    more,
    0xbeef,
  ]);
});

test("only the headers were gathered of a longer frame", () => {
  const { reason, packet } = parse(ipv4({ total: "05dc" }), 1514, 34);
  expect([reason, packet.l4Length, packet.end]).toEqual([0, 1480, 7 + 34]);
});

test("ARP has no IP fields, its message is the payload", () => {
  const { reason, packet } = parse("ffffffffffff 020000000001 0806 0001 0800", 60);
  expect([reason, packet.etherType, packet.ipVersion, packet.l4At, packet.l4Length]).toEqual([0, 0x0806, 0, 21, 46]);
});

test("a UDP datagram over IPv6", () => {
  const { reason, packet } = parse(`${ipv6("11", "1234 0035 0009 0000 61")} 0000`);
  expect(reason).toBe(Drop.none);
  expect([packet.ipVersion, packet.protocol, packet.hopLimit, packet.trafficClass]).toEqual([6, 17, 0x3f, 0xab]);
  expect([packet.ipAt, packet.sourceAt, packet.destinationAt]).toEqual([21, 29, 45]);
  expect([packet.l4At, packet.l4Offset, packet.l4Length]).toEqual([61, 54, 9]);
});

test("IPv6 extension headers are walked", () => {
  const hopByHop = "2b 00 05 02 0000 0100";
  const routing = "3c 01 00 00 00000000 0000000000000000";
  const destination = "06 00 01 04 00000000";
  const { reason, packet } = parse(ipv6("00", `${hopByHop} ${routing} ${destination} aabb`));
  expect(reason).toBe(Drop.none);
  expect([packet.protocol, packet.l4Offset, packet.l4Length, packet.isFragment]).toEqual([6, 54 + 32, 2, false]);
});

test("an IPv6 fragment header: first piece, later piece, atomic", () => {
  const first = parse(ipv6("2c", "3c 00 0001 12345678 11 00 01 04 00000000 aabb")).packet;
  expect([first.isFragment, first.fragmentOffset, first.moreFragments, first.identification, first.protocol]).toEqual([
    true,
    0,
    true,
    0x1234_5678,
    17,
  ]);
  expect([first.l4Offset, first.l4Length]).toEqual([54 + 16, 2]);
  const later = parse(ipv6("2c", "3c 00 0010 12345678 aabb")).packet;
  expect([later.isFragment, later.fragmentOffset, later.moreFragments, later.protocol]).toEqual([true, 16, false, 60]);
  expect([later.l4Offset, later.l4Length]).toEqual([54 + 8, 2]);
  const atomic = parse(ipv6("2c", "11 00 0000 12345678 aabb")).packet;
  expect([atomic.isFragment, atomic.hasFragmentHeader]).toEqual([false, true]);
  expect(parse(ipv6("3c", "11 00 01 04 00000000 aabb")).packet.hasFragmentHeader).toBe(false);
});

test.each([
  ["an empty frame", "", Drop.runt],
  ["13 bytes", "ffffffffffff 020000000001 08", Drop.runt],
  ["a VLAN tag", "ffffffffffff 020000000001 8100 0001 0800", Drop.etherType],
  ["an 802.3 length", "ffffffffffff 020000000001 0026 4242", Drop.etherType],
  ["IPv4 that ends in its header", ipv4().slice(0, 60), Drop.ipv4Header],
  ["IPv4 longer than the frame", ipv4({ total: "001e" }), Drop.ipv4Header],
  ["IPv4 shorter than its header", ipv4({ total: "0013" }), Drop.ipv4Header],
  ["version 5", ipv4().replace("45 b8", "55 b8"), Drop.ipv4Header],
  ["IPv4 loopback source", ipv4({ source: "7f010203" }), Drop.loopback],
  ["IPv4 loopback destination", ipv4({ destination: "7f000001" }), Drop.loopback],
  ["IPv4 to nowhere", ipv4({ destination: "00000000" }), Drop.unspecifiedDestination],
  ["IPv6 that ends in its header", ipv6("11", "").slice(0, 100), Drop.ipv6Header],
  ["IPv6 longer than the frame", ipv6("11", "aabb").slice(0, -2), Drop.ipv6Header],
  ["IPv6 loopback source", ipv6("11", "", `${"00".repeat(15)}01`), Drop.loopback],
  ["IPv6 loopback destination", ipv6("11", "", GLOBAL, `${"00".repeat(15)}01`), Drop.loopback],
  ["IPv4 loopback in IPv6", ipv6("11", "", GLOBAL, `${"00".repeat(10)}ffff7f000001`), Drop.mappedAddress],
  ["mapped source", ipv6("11", "", `${"00".repeat(10)}ffffc0000201`, GLOBAL), Drop.mappedAddress],
  ["IPv6 to nowhere", ipv6("11", "", GLOBAL, "00".repeat(16)), Drop.unspecifiedDestination],
  ["an extension header of 7 bytes", ipv6("00", "11 00 00 00 00 00 00"), Drop.extensionHeader],
  ["an extension header beyond the packet", `${ipv6("00", "11 01 00 00 00 00 00 00")} ${"00".repeat(8)}`, 5],
  ["nine extension headers", ipv6("3c", `${"3c 00 00 00 00 00 00 00 ".repeat(8)} 06 00 00 00 00 00 00 00`), 5],
  ["hop-by-hop options behind others", ipv6("3c", "00 00 01 04 00000000 11 00 01 04 00000000"), 5],
  ["a route with segments left", ipv6("2b", `11 02 00 01 00000000 ${"20".repeat(16)}`), 5],
  ["an unknown option for which to drop", ipv6("3c", "11 00 01 00 5e 02 0000"), 5],
  ["an unknown hop-by-hop option for which to tell", ipv6("00", "11 00 c2 04 00010000"), 5],
  ["an option beyond its header", ipv6("3c", `11 00 1e 05 00000000 ${"00".repeat(8)}`), 5],
  ["an option without a length", ipv6("3c", "11 00 01 03 000000 1e"), 5],
])("%s is dropped", (_name, hex, reason) => {
  expect(parse(hex).reason).toBe(reason);
});

test("an unknown option to be skipped is skipped, and so are a router alert and padding", () => {
  const { reason, packet } = parse(ipv6("00", "3c 00 05 02 0000 0100 11 01 3f 03 aabbcc 00 01 06 000000000000 dddd"));
  expect([reason, packet.protocol, packet.l4Length]).toEqual([Drop.none, 17, 2]);
});

test("eight extension headers are not too many", () => {
  const { reason, packet } = parse(ipv6("3c", `${"3c 00 00 00 00 00 00 00 ".repeat(7)} 06 00 00 00 00 00 00 00`));
  expect([reason, packet.protocol]).toEqual([Drop.none, 6]);
});

test("extension headers longer than the gathered bytes are told from broken ones", () => {
  const frame = ipv6("3c", `06 01 ${"00".repeat(14)} aabb`);
  expect(parse(frame, undefined, 54 + 7).reason).toBe(Drop.headersTooLong);
  expect(parse(frame, undefined, 54 + 15).reason).toBe(Drop.headersTooLong);
  expect(parse(frame, undefined, 54 + 16).reason).toBe(Drop.none);
});

test("a packet keeps nothing of the frame before", () => {
  const frame = bytesOf(ipv6("2c", "11 00 0011 12345678 aabb"));
  const packet = new Packet();
  packet.parse(viewOf(frame), 0, frame.length, frame.length);
  const short = new Uint8Array(20);
  expect(packet.parse(viewOf(short), 0, 13, 13)).toBe(Drop.runt);
  const fresh = new Packet();
  fresh.parse(viewOf(short), 0, 13, 13);
  expect({ ...packet }).toEqual({ ...fresh });
});

test("DROP_REASONS counts the reasons", () => {
  expect(DROP_REASONS).toBe(Math.max(...Object.values(Drop)) + 1);
});
