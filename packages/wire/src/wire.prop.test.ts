import { expect, test } from "bun:test";
import { sumBytes } from "@passt-ts/checksum/sum";
import fc from "fast-check";
import { DhcpOptions } from "./dhcp.ts";
import { checkDhcpv6Options, findDhcpv6Option } from "./dhcpv6.ts";
import { Ethernet, writeEthernet } from "./ethernet.ts";
import { readIpv4Address, readIpv6Address } from "./ip-address.ts";
import { writeIpv4 } from "./ipv4.ts";
import { writeIpv6 } from "./ipv6.ts";
import { checkNdpOptions, findNdpOption } from "./ndp.ts";
import { Drop, Packet } from "./packet.ts";
import { checkTcp, TcpOptions, writeTcp, writeTcpSynOptions } from "./tcp.ts";
import { POISON, viewOf } from "./testing/frame-bytes.ts";
import { checkUdp } from "./udp.ts";

const macs = fc.uint8Array({ minLength: 6, maxLength: 6 });
const words = fc.array(fc.integer({ min: 1, max: 0xffff_ffff }), { minLength: 4, maxLength: 4 });
/** A first byte that is neither loopback nor unspecified. */
const hosts = fc.integer({ min: 0x8000_0000, max: 0xffff_ffff });
const protocols = fc.constantFrom(1, 6, 17, 58, 132);

test("IPv4: emit, parse", () => {
  fc.assert(
    fc.property(macs, macs, hosts, hosts, protocols, fc.nat(255), fc.nat(1480), (to, from, a, b, protocol, ttl, l4) => {
      const bytes = new Uint8Array(1600).fill(POISON);
      const view = viewOf(bytes);
      const source = Uint32Array.of(0, 0, 0xffff, a);
      const destination = Uint32Array.of(0, 0, 0xffff, b);
      const ipAt = writeEthernet(view, 5, to, from, 0x0800);
      const l4At = writeIpv4(view, ipAt, l4, protocol, ttl, source, 0, destination, 0);
      expect(sumBytes(view, ipAt, l4At)).toBe(0xffff);
      const packet = new Packet();
      expect(packet.parse(view, 5, l4At, l4At - 5 + l4)).toBe(Drop.none);
      expect([packet.protocol, packet.hopLimit, packet.l4At, packet.l4Length]).toEqual([protocol, ttl, l4At, l4]);
      const read = new Uint32Array(8);
      readIpv4Address(view, packet.sourceAt, read, 0);
      readIpv4Address(view, packet.destinationAt, read, 4);
      expect([...read]).toEqual([...source, ...destination]);
      if (l4 > 0) expect(packet.parse(view, 5, l4At, l4At - 6 + l4)).toBe(Drop.ipv4Header);
    }),
  );
});

test("IPv6: emit, parse", () => {
  fc.assert(
    fc.property(macs, macs, words, words, protocols, fc.nat(255), fc.nat(65_535), (to, from, a, b, next, hops, l4) => {
      const view = viewOf(new Uint8Array(100).fill(POISON));
      const source = Uint32Array.from(a);
      const destination = Uint32Array.from(b);
      const ipAt = writeEthernet(view, 5, to, from, 0x86dd);
      const l4At = writeIpv6(view, ipAt, l4, next, hops, 0xf_ffff, source, 0, destination, 0);
      const packet = new Packet();
      expect(packet.parse(view, 5, l4At, l4At - 5 + l4)).toBe(Drop.none);
      expect([packet.protocol, packet.hopLimit, packet.l4At, packet.l4Length]).toEqual([next, hops, l4At, l4]);
      const read = new Uint32Array(8);
      readIpv6Address(view, packet.sourceAt, read, 0);
      readIpv6Address(view, packet.destinationAt, read, 4);
      expect([...read]).toEqual([...source, ...destination]);
      if (l4 > 0) expect(packet.parse(view, 5, l4At, l4At - 6 + l4)).toBe(Drop.ipv6Header);
    }),
  );
});

test("TCP options: emit, parse", () => {
  fc.assert(
    fc.property(fc.nat(0xffff), fc.integer({ min: -1, max: 14 }), (maximumSegmentSize, windowScale) => {
      const view = viewOf(new Uint8Array(60).fill(POISON));
      const length = 20 + writeTcpSynOptions(view, 23, maximumSegmentSize, windowScale);
      writeTcp(view, 3, 1, 2, 3, 4, 2, 5, length);
      expect(checkTcp(view, 3, 60, length)).toBe(length);
      const options = new TcpOptions();
      options.parse(view, 3, length);
      expect({ ...options }).toEqual({ maximumSegmentSize, windowScale });
    }),
  );
});

/** Frames that get past the first checks more often than plain noise does. */
const frames = fc
  .tuple(fc.uint8Array({ maxLength: 200 }), fc.constantFrom("noise", "arp", "ipv4", "ipv6"), fc.nat(255))
  .map(([bytes, kind, next]) => {
    if (kind === "noise" || bytes.length < Ethernet.headerBytes + 20) return bytes;
    const view = viewOf(bytes);
    view.setUint16(12, { arp: 0x0806, ipv4: 0x0800, ipv6: 0x86dd }[kind] ?? 0);
    if (kind === "ipv4") {
      view.setUint8(14, 0x45 + (next % 4));
      view.setUint16(16, bytes.length - 14 - (next % 3));
    } else if (kind === "ipv6") {
      view.setUint8(14, 0x60);
      view.setUint16(18, Math.max(0, bytes.length - 54 - (next % 3)));
      view.setUint8(20, [0, 43, 44, 60][next % 4] as number);
      if (bytes.length > 60) view.setUint8(55, next % 3);
    }
    return bytes;
  });

test("any bytes: parsing never throws, and what it lets pass lies inside the frame", () => {
  const packet = new Packet();
  const tcpOptions = new TcpOptions();
  fc.assert(
    fc.property(frames, fc.nat(200), fc.nat(100), (bytes, gathered, extra) => {
      const gatheredEnd = Math.min(gathered, bytes.length);
      // The view ends with the gathered bytes: a read behind them throws.
      const view = new DataView(bytes.buffer, bytes.byteOffset, gatheredEnd);
      const frameLength = gatheredEnd + extra;
      if (packet.parse(view, 0, gatheredEnd, frameLength) !== Drop.none) return;
      expect(packet.l4At).toBeLessThanOrEqual(gatheredEnd);
      expect(packet.l4Length).toBeGreaterThanOrEqual(0);
      expect(packet.l4Offset + packet.l4Length).toBeLessThanOrEqual(frameLength);
      const headerBytes = checkTcp(view, packet.l4At, packet.end, packet.l4Length);
      if (headerBytes > 0) tcpOptions.parse(view, packet.l4At, headerBytes);
      expect(checkUdp(view, packet.l4At, packet.end, packet.l4Length)).toBeLessThanOrEqual(packet.l4Length);
    }),
    { numRuns: 3000 },
  );
});

test("any bytes: walks over options never throw and never leave the message", () => {
  const dhcpOptions = new DhcpOptions();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120, max: 40 }), fc.nat(0xff), (options, type) => {
      const view = viewOf(options);
      const end = options.length;
      if (checkNdpOptions(view, 0, end)) expect(findNdpOption(view, 0, end, type)).toBeLessThan(Math.max(end, 1));
      if (checkDhcpv6Options(view, 0, end)) expect(findDhcpv6Option(view, 0, end, type)).toBeLessThan(Math.max(end, 1));
      const message = new Uint8Array(240 + end);
      viewOf(message).setUint32(236, 0x6382_5363);
      message.set(options, 240);
      dhcpOptions.parse(viewOf(message), 0, message.length);
      for (let code = 0; code < 256; code++) {
        if (dhcpOptions.has(code)) {
          expect(dhcpOptions.dataAt[code] + dhcpOptions.length[code]).toBeLessThanOrEqual(message.length);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
