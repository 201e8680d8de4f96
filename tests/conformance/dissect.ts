// Takes a frame apart into named fields that cover every byte of it, so that two frames can be compared field by field. Lengths
// and checksums follow from the rest, so their fields say only whether they are right.

import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeaderOf4, pseudoHeaderOf6 } from "@passt-ts/checksum/pseudo-header";
import { ETHERNET_BYTES_MIN, Ethernet, EtherType } from "@passt-ts/wire/ethernet";
import { IpProtocol, Ipv4 } from "@passt-ts/wire/ipv4";
import { Ipv6 } from "@passt-ts/wire/ipv6";
import { hexOf, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import { ipv4Text, ipv6Text, macText } from "./address.ts";
import { dissectDhcp } from "./dissect-dhcp.ts";
import { dissectDhcpv6 } from "./dissect-dhcpv6.ts";
import { dissectIcmp, dissectIcmpv6 } from "./dissect-icmp.ts";
import { dissectTcp } from "./dissect-tcp.ts";
import { Fields } from "./fields.ts";
import type { Isns } from "./isns.ts";

/**
 * The fields of a frame; sequence numbers of the daemon count from those of `isns`. Of a frame that ends within a header all bytes are
 * one field.
 */
export function dissect(frame: Uint8Array, isns: Isns): Fields {
  const fields = new Fields();
  try {
    dissectEthernet(fields, frame, isns);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    fields.add("cut off", hexOf(frame));
  }
  return fields;
}

function dissectEthernet(fields: Fields, frame: Uint8Array, isns: Isns): void {
  fields.add("ethernet.destination", macText(frame, Ethernet.destination));
  fields.add("ethernet.source", macText(frame, Ethernet.source));
  const etherType = viewOf(frame).getUint16(Ethernet.etherType);
  fields.add("ethernet.type", etherType.toString(16).padStart(4, "0"));
  let end: number = Ethernet.headerBytes;
  if (etherType === EtherType.arp) end = dissectArp(fields, frame, end);
  else if (etherType === EtherType.ipv4) end = dissectIpv4(fields, frame, end, isns, "");
  else if (etherType === EtherType.ipv6) end = dissectIpv6(fields, frame, end, isns, "");
  fields.add("padding", paddingText(frame, end));
}

/** The shortest frame is 60 bytes; what is behind the packet then is zeros (RFC 894). */
function paddingText(frame: Uint8Array, end: number): string {
  const padding = frame.subarray(end);
  const isRight = padding.every((byte) => byte === 0) && frame.length === Math.max(end, ETHERNET_BYTES_MIN);
  return isRight ? "right" : `${frame.length} bytes in all, behind the packet ${hexOf(padding)}`;
}

function dissectArp(fields: Fields, frame: Uint8Array, at: number): number {
  fields.add("arp.kinds", hexOf(frame.subarray(at, at + 6)));
  fields.add("arp.operation", String(viewOf(frame).getUint16(at + 6)));
  fields.add("arp.senderMac", macText(frame, at + 8));
  fields.add("arp.sender", ipv4Text(frame, at + 14));
  fields.add("arp.targetMac", macText(frame, at + 18));
  fields.add("arp.target", ipv4Text(frame, at + 24));
  return at + 28;
}

/** A header that is quoted in an ICMP error has a prefix, and its packet may be longer than what is quoted of it. */
function dissectIpv4(fields: Fields, bytes: Uint8Array, at: number, isns: Isns, prefix: string): number {
  const view = viewOf(bytes);
  const headerBytes = (bytes[at] & 15) * 4;
  const packetEnd = at + view.getUint16(at + Ipv4.totalLength);
  const name = `${prefix}ipv4`;
  fields.add(`${name}.version`, hexOf(bytes.subarray(at, at + 1)));
  fields.add(`${name}.tos`, hexOf(bytes.subarray(at + 1, at + 2)));
  fields.addLength(`${name}.length`, packetEnd, bytes.length);
  fields.add(`${name}.identification`, hexOf(bytes.subarray(at + 4, at + 6)));
  fields.add(`${name}.fragment`, hexOf(bytes.subarray(at + 6, at + 8)));
  fields.add(`${name}.ttl`, String(bytes[at + Ipv4.timeToLive]));
  fields.add(`${name}.protocol`, String(bytes[at + Ipv4.protocol]));
  fields.addChecksum(`${name}.checksum`, view.getUint16(at + 10), checksumBytes(view, at, at + headerBytes));
  fields.add(`${name}.source`, ipv4Text(bytes, at + Ipv4.source));
  fields.add(`${name}.destination`, ipv4Text(bytes, at + Ipv4.destination));
  if (headerBytes > 20) fields.add(`${name}.options`, hexOf(bytes.subarray(at + 20, at + headerBytes)));
  const protocol = bytes[at + Ipv4.protocol];
  const l4At = at + headerBytes;
  const end = Math.min(packetEnd, bytes.length);
  const pseudo = pseudoHeaderOf4(view, at, protocol, packetEnd - l4At);
  if (protocol === IpProtocol.icmp) {
    dissectIcmp(fields, bytes.subarray(0, end), l4At, prefix, (quote) => void dissectQuote(fields, quote, isns));
  } else dissectL4(fields, bytes.subarray(0, end), l4At, protocol, pseudo, packetEnd - l4At, isns, prefix);
  return end;
}

function dissectIpv6(fields: Fields, bytes: Uint8Array, at: number, isns: Isns, prefix: string): number {
  const view = viewOf(bytes);
  const l4At = at + Ipv6.headerBytes;
  const packetEnd = l4At + view.getUint16(at + Ipv6.payloadLength);
  const word = view.getUint32(at);
  const name = `${prefix}ipv6`;
  const protocol = bytes[at + Ipv6.nextHeader];
  fields.add(`${name}.class`, (word >>> 20).toString(16));
  fields.add(`${name}.flowLabel`, (word & 0xf_ffff).toString(16));
  fields.addLength(`${name}.length`, packetEnd, bytes.length);
  fields.add(`${name}.nextHeader`, String(protocol));
  fields.add(`${name}.hopLimit`, String(bytes[at + Ipv6.hopLimit]));
  fields.add(`${name}.source`, ipv6Text(bytes, at + Ipv6.source));
  fields.add(`${name}.destination`, ipv6Text(bytes, at + Ipv6.destination));
  const end = Math.min(packetEnd, bytes.length);
  const pseudo = pseudoHeaderOf6(view, at, protocol, packetEnd - l4At);
  if (protocol === IpProtocol.icmpv6) {
    const quoted = (quote: Uint8Array): void => void dissectQuote(fields, quote, isns);
    dissectIcmpv6(fields, bytes.subarray(0, end), l4At, prefix, pseudo, quoted);
  } else dissectL4(fields, bytes.subarray(0, end), l4At, protocol, pseudo, packetEnd - l4At, isns, prefix);
  return end;
}

/** The packet quoted in an ICMP error: headers, and then bytes of data. */
function dissectQuote(fields: Fields, quote: Uint8Array, isns: Isns): void {
  const v4 = quote[0] >>> 4 === 4;
  const dissectIp = v4 ? dissectIpv4 : dissectIpv6;
  const end = dissectIp(fields, quote, 0, isns, "quote.");
  if (end < quote.length) fields.add("quote.trailing", hexOf(quote.subarray(end)));
}

function dissectL4(
  fields: Fields,
  bytes: Uint8Array,
  at: number,
  protocol: number,
  pseudo: number,
  length: number,
  isns: Isns,
  prefix: string,
): void {
  const checksum = checksumBytes(viewOf(bytes), at, bytes.length, pseudo);
  const isWhole = bytes.length - at === length;
  if (protocol === IpProtocol.tcp) dissectTcp(fields, bytes, at, isWhole ? checksum : null, isns, prefix);
  else if (protocol === IpProtocol.udp) dissectUdp(fields, bytes, at, isWhole ? checksum : null, prefix);
  else fields.add(`${prefix}payload`, hexOf(bytes.subarray(at)));
}

function dissectUdp(fields: Fields, bytes: Uint8Array, at: number, checksum: number | null, prefix: string): void {
  const view = viewOf(bytes);
  const ports = [view.getUint16(at), view.getUint16(at + 2)];
  fields.add(`${prefix}udp.sourcePort`, String(ports[0]));
  fields.add(`${prefix}udp.destinationPort`, String(ports[1]));
  fields.addLength(`${prefix}udp.length`, at + view.getUint16(at + 4), bytes.length);
  if (view.getUint16(at + 6) === 0) fields.add(`${prefix}udp.checksum`, "none");
  // The sum over the checksum field itself is 0 when it is right.
  else fields.add(`${prefix}udp.checksum`, checksum === null ? "partly quoted" : checksum === 0 ? "right" : "wrong");
  if (prefix === "" && ports.includes(67)) dissectDhcp(fields, bytes, at + 8);
  else if (prefix === "" && ports.includes(547)) dissectDhcpv6(fields, bytes, at + 8);
  else fields.add(`${prefix}payload`, hexOf(bytes.subarray(at + 8)));
}
