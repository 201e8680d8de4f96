import { expect, test } from "bun:test";
import { pseudoHeader6, pseudoHeaderOf6 } from "@passt-ts/checksum/pseudo-header";
import { ArpOperation, checkArp, writeArp } from "./arp.ts";
import { EtherType, etherTypeAt, writeEthernet } from "./ethernet.ts";
import {
  checkIcmp,
  IcmpType,
  IcmpUnreachable,
  icmpIdentifier,
  icmpSequence,
  icmpType,
  writeIcmpEcho,
  writeIcmpError,
} from "./icmp.ts";
import { Icmpv6Type, Icmpv6Unreachable, writeIcmpv6Error } from "./icmpv6.ts";
import { isIpv6Address, isUnspecifiedIpv6, readIpv4Address, readIpv6Address } from "./ip-address.ts";
import { checkIpv4, IpProtocol, writeIpv4 } from "./ipv4.ts";
import { checkIpv6, writeIpv6 } from "./ipv6.ts";
import { isGroupMac, isMac, readMac } from "./mac.ts";
import { bytesOf, hexOf, viewOf, written } from "./testing/frame-bytes.ts";
import { checkUdp, setUdpChecksum, Udp, udpDestinationPort, udpSourcePort, writeUdp } from "./udp.ts";
import {
  VIRTIO_NET_HEADER_BYTES,
  VIRTIO_NET_HEADER_BYTES_LEGACY,
  VirtioNetFields,
  VirtioNetFlag,
  VirtioNetGso,
  writeVirtioNetHeader,
} from "./virtio-net-header.ts";

const ours = bytesOf("9a 55 9a 55 9a 55");
const guest = bytesOf("02 00 00 00 00 01");
const hexPlain = (text: string) => text.replaceAll(" ", "");

/** Four words at index 2 of a longer array, so that the index counts. */
const gateway4 = Uint32Array.of(1, 2, 0, 0, 0xffff, 0xc000_0201);
const guest4 = Uint32Array.of(1, 2, 0, 0, 0xffff, 0xc000_0202);
const gateway6 = Uint32Array.of(1, 2, 0xfe80_0000, 0, 0, 1);
const guest6 = Uint32Array.of(1, 2, 0x2001_0db8, 0, 0, 0x8000_0099);

test("Ethernet header", () => {
  const hex = written((view, at) => writeEthernet(view, at, guest, ours, EtherType.ipv6));
  expect(hex).toBe(hexPlain("02 00 00 00 00 01 9a 55 9a 55 9a 55 86 dd"));
  const view = viewOf(bytesOf(hex));
  expect(etherTypeAt(view, 0)).toBe(0x86dd);
  expect(isMac(view, 0, guest)).toBe(true);
  expect(isMac(view, 6, guest)).toBe(false);
  expect(isGroupMac(view, 0)).toBe(false);
  expect(isGroupMac(viewOf(bytesOf("33 33 00 00 00 01")), 0)).toBe(true);
  const mac = new Uint8Array(6);
  readMac(view, 6, mac);
  expect(mac).toEqual(ours);
});

test("ARP message", () => {
  const hex = written((view, at) => writeArp(view, at, ArpOperation.reply, ours, gateway4, 2, guest, guest4, 2));
  const expected = "0001 0800 06 04 0002 9a559a559a55 c0000201 020000000001 c0000202";
  expect(hex).toBe(hexPlain(expected));
  const good = bytesOf(hex);
  expect(checkArp(viewOf(good), 0, 28)).toBe(ArpOperation.reply);
  expect(checkArp(viewOf(good), 0, 27)).toBe(-1);
  for (let i = 0; i < 6; i++) {
    const bad = good.slice();
    bad[i] ^= 1;
    expect(checkArp(viewOf(bad), 0, 28)).toBe(-1);
  }
});

test("IPv4 header with its checksum", () => {
  const hex = written((view, at) => writeIpv4(view, at, 342, IpProtocol.udp, 255, gateway4, 2, guest4, 2));
  expect(hex).toBe(hexPlain("45 00 01 6a 0000 4000 ff 11 f67e c0000201 c0000202"));
});

test("the check of an IPv4 header", () => {
  const good = bytesOf("46 00 00 1c 0000 4000 ff 11 0000 c0000201 c0000202 01010100 aabbccdd");
  const check = (change: (bytes: Uint8Array) => void, end = good.length, packetEnd = good.length) => {
    const bytes = good.slice();
    change(bytes);
    return checkIpv4(viewOf(bytes), 0, end, packetEnd);
  };
  expect(check(() => {})).toBe(24);
  expect(check(() => {}, 24)).toBe(24);
  expect(check(() => {}, 23)).toBe(-1);
  expect(check(() => {}, 19)).toBe(-1);
  expect(check(() => {}, 28, 27)).toBe(-1);
  expect(check((b) => b.set([0x66]))).toBe(-1);
  expect(check((b) => b.set([0x44]))).toBe(-1);
  expect(check((b) => b.set([0x4f]))).toBe(-1);
  expect(check((b) => b.set([0, 24], 2))).toBe(24);
  expect(check((b) => b.set([0, 23], 2))).toBe(-1);
  expect(check((b) => b.set([0, 29], 2))).toBe(-1);
});

test("IPv6 header and its check", () => {
  const hex = written((view, at) => writeIpv6(view, at, 9, IpProtocol.udp, 255, 0xfff3_4567, gateway6, 2, guest6, 2));
  const addresses = "fe800000 00000000 00000000 00000001 20010db8 00000000 00000000 80000099";
  expect(hex).toBe(hexPlain(`60 03 45 67 0009 11 ff ${addresses}`));
  const view = viewOf(bytesOf(`${hex} 00 00 00 00 00 00 00 00 00`));
  expect(checkIpv6(view, 0, 49, 49)).toBe(9);
  expect(checkIpv6(view, 0, 40, 49)).toBe(9);
  expect(checkIpv6(view, 0, 39, 49)).toBe(-1);
  expect(checkIpv6(view, 0, 48, 48)).toBe(-1);
  view.setUint8(0, 0x40);
  expect(checkIpv6(view, 0, 49, 49)).toBe(-1);
});

test("addresses between headers and words", () => {
  const view = viewOf(bytesOf("fe80000000000000 0000000080000099 c0000202"));
  const words = new Uint32Array(6).fill(7);
  readIpv6Address(view, 0, words, 1);
  expect(Array.from(words)).toEqual([7, 0xfe80_0000, 0, 0, 0x8000_0099, 7]);
  expect(isIpv6Address(view, 0, words, 1)).toBe(true);
  for (let i = 1; i < 5; i++) {
    const other = words.slice();
    other[i] ^= 1;
    expect(isIpv6Address(view, 0, other, 1)).toBe(false);
  }
  readIpv4Address(view, 16, words, 1);
  expect(Array.from(words)).toEqual([7, 0, 0, 0xffff, 0xc000_0202, 7]);
  expect(isUnspecifiedIpv6(view, 0)).toBe(false);
  expect(isUnspecifiedIpv6(new DataView(new ArrayBuffer(16)), 0)).toBe(true);
});

test("UDP header and its check", () => {
  const hex = written((view, at) => writeUdp(view, at, 67, 0xffee, 5));
  expect(hex).toBe(hexPlain("0043 ffee 000d 0000"));
  const view = viewOf(bytesOf(hex));
  expect([udpSourcePort(view, 0), udpDestinationPort(view, 0)]).toEqual([67, 0xffee]);
  expect(checkUdp(view, 0, 8, 13)).toBe(5);
  expect(checkUdp(view, 0, 8, 20)).toBe(5);
  expect(checkUdp(view, 0, 8, 12)).toBe(-1);
  expect(checkUdp(view, 0, 7, 13)).toBe(-1);
  view.setUint16(Udp.length, 8);
  expect(checkUdp(view, 0, 8, 8)).toBe(0);
  expect(checkUdp(view, 0, 8, 7)).toBe(-1);
  view.setUint16(Udp.length, 7);
  expect(checkUdp(view, 0, 8, 8)).toBe(-1);
  setUdpChecksum(view, 0, 0);
  expect(view.getUint16(Udp.checksum)).toBe(0xffff);
  setUdpChecksum(view, 0, 0x1234);
  expect(view.getUint16(Udp.checksum)).toBe(0x1234);
});

test("ICMP echo header", () => {
  const hex = written((view, at) => writeIcmpEcho(view, at, IcmpType.echoReply, 0xbeef, 0x0102));
  expect(hex).toBe(hexPlain("00 00 0000 beef 0102"));
  const view = viewOf(bytesOf(hex));
  expect([icmpType(view, 0), icmpIdentifier(view, 0), icmpSequence(view, 0)]).toEqual([0, 0xbeef, 0x0102]);
  expect([checkIcmp(0, 8, 8), checkIcmp(0, 7, 8), checkIcmp(0, 8, 7)]).toEqual([true, false, false]);
});

test("ICMP error around an exact quote", () => {
  const quote = bytesOf("4500 001e 0000 4000 ff11 0000 c0000202 c0000299 1234 0035 000a 0000 6869");
  const hex = written((view, at) => {
    for (const [index, byte] of quote.entries()) view.setUint8(at + 8 + index, byte);
    return writeIcmpError(view, at, IcmpType.destinationUnreachable, IcmpUnreachable.port, 0, quote.length);
  });
  expect(hex).toBe(hexPlain("03 03 7953 00000000") + hexOf(quote));
});

test("ICMPv6 error around an exact quote, with the pseudo-header in its checksum", () => {
  const quote = bytesOf("60000000 0009 11 ff");
  const sum = pseudoHeader6(gateway6, 2, guest6, 2, IpProtocol.icmpv6, 16);
  const hex = written((view, at) => {
    for (const [index, byte] of quote.entries()) view.setUint8(at + 8 + index, byte);
    return writeIcmpv6Error(view, at, Icmpv6Type.destinationUnreachable, Icmpv6Unreachable.port, 0, quote.length, sum);
  });
  expect(hex).toBe(hexPlain("01 04 dfd4 00000000") + hexOf(quote));
  const header = new Uint8Array(40);
  writeIpv6(viewOf(header), 0, 16, IpProtocol.icmpv6, 255, 0, gateway6, 2, guest6, 2);
  expect(pseudoHeaderOf6(viewOf(header), 0, IpProtocol.icmpv6, 16)).toBe(sum);
});

test("virtio-net header of 12 and of 10 bytes, little-endian", () => {
  const write = (headerBytes: number) => (view: DataView, at: number) =>
    writeVirtioNetHeader(
      view,
      at,
      headerBytes,
      VirtioNetFlag.needsChecksum,
      VirtioNetGso.tcpv4,
      0x0102,
      0x0304,
      0x0506,
      0x0708,
      0x090a,
    );
  const modern = written(write(VIRTIO_NET_HEADER_BYTES));
  expect(modern).toBe(hexPlain("01 01 0201 0403 0605 0807 0a09"));
  expect(written(write(VIRTIO_NET_HEADER_BYTES_LEGACY))).toBe(modern.slice(0, 20));
  const fields = new VirtioNetFields();
  fields.parse(viewOf(bytesOf(modern)), 0, VIRTIO_NET_HEADER_BYTES);
  expect({ ...fields }).toEqual({
    flags: 1,
    gsoType: 1,
    headerLength: 0x0102,
    gsoSize: 0x0304,
    checksumStart: 0x0506,
    checksumOffset: 0x0708,
    bufferCount: 0x090a,
  });
  fields.parse(viewOf(bytesOf(modern.slice(0, 20))), 0, VIRTIO_NET_HEADER_BYTES_LEGACY);
  expect(fields.bufferCount).toBe(0);
});
