/**
 * Whole Ethernet frames around a payload that lies in place already: the headers of every service's replies, with
 * complete checksums (ttl and hop limit 255, DF, identification 0).
 */
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeaderOf4, pseudoHeaderOf6 } from "@passt-ts/checksum/pseudo-header";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { Icmp } from "@passt-ts/wire/icmp";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import { setUdpChecksum, Udp, writeUdp } from "@passt-ts/wire/udp";

const TIME_TO_LIVE = 255;

/** Where the payload of a UDP frame lies, counted from the frame's first byte. */
export const UDP4_PAYLOAD_OFFSET: number = Ethernet.headerBytes + Ipv4.headerBytes + Udp.headerBytes;
export const UDP6_PAYLOAD_OFFSET: number = Ethernet.headerBytes + Ipv6.headerBytes + Udp.headerBytes;

/** Where the ICMPv6 message of a frame lies. */
export const ICMPV6_MESSAGE_OFFSET: number = Ethernet.headerBytes + Ipv6.headerBytes;

/**
 * Writes the headers in front of `payloadLength` bytes at `at + UDP4_PAYLOAD_OFFSET`; returns the frame's length.
 *
 * @param source four words, IPv4-mapped; so for `destination`.
 */
export function writeUdp4Frame(
  view: DataView,
  at: number,
  destinationMac: Uint8Array,
  sourceMac: Uint8Array,
  source: Uint32Array,
  destination: Uint32Array,
  sourcePort: number,
  destinationPort: number,
  payloadLength: number,
): number {
  const udpLength = Udp.headerBytes + payloadLength;
  const ipAt = writeEthernet(view, at, destinationMac, sourceMac, EtherType.ipv4);
  const udpAt = writeIpv4(view, ipAt, udpLength, IpProtocol.udp, TIME_TO_LIVE, source, 0, destination, 0);
  writeUdp(view, udpAt, sourcePort, destinationPort, payloadLength);
  const sum = pseudoHeaderOf4(view, ipAt, IpProtocol.udp, udpLength);
  setUdpChecksum(view, udpAt, checksumBytes(view, udpAt, udpAt + udpLength, sum));
  return UDP4_PAYLOAD_OFFSET + payloadLength;
}

/** As {@link writeUdp4Frame} for IPv6, the payload at `at + UDP6_PAYLOAD_OFFSET`. */
export function writeUdp6Frame(
  view: DataView,
  at: number,
  destinationMac: Uint8Array,
  sourceMac: Uint8Array,
  source: Uint32Array,
  destination: Uint32Array,
  sourcePort: number,
  destinationPort: number,
  payloadLength: number,
  flowLabel: number,
): number {
  const udpLength = Udp.headerBytes + payloadLength;
  const ipAt = writeEthernet(view, at, destinationMac, sourceMac, EtherType.ipv6);
  const udpAt = writeIpv6(view, ipAt, udpLength, IpProtocol.udp, TIME_TO_LIVE, flowLabel, source, 0, destination, 0);
  writeUdp(view, udpAt, sourcePort, destinationPort, payloadLength);
  const sum = pseudoHeaderOf6(view, ipAt, IpProtocol.udp, udpLength);
  setUdpChecksum(view, udpAt, checksumBytes(view, udpAt, udpAt + udpLength, sum));
  return UDP6_PAYLOAD_OFFSET + payloadLength;
}

/**
 * Writes the headers in front of the ICMPv6 message of `messageLength` bytes at `at + ICMPV6_MESSAGE_OFFSET`, and the
 * message's checksum; returns the frame's length.
 */
export function writeIcmpv6Frame(
  view: DataView,
  at: number,
  destinationMac: Uint8Array,
  sourceMac: Uint8Array,
  source: Uint32Array,
  destination: Uint32Array,
  messageLength: number,
): number {
  const ipAt = writeEthernet(view, at, destinationMac, sourceMac, EtherType.ipv6);
  const messageAt = writeIpv6(view, ipAt, messageLength, IpProtocol.icmpv6, TIME_TO_LIVE, 0, source, 0, destination, 0);
  view.setUint16(messageAt + Icmp.checksum, 0);
  const sum = pseudoHeaderOf6(view, ipAt, IpProtocol.icmpv6, messageLength);
  view.setUint16(messageAt + Icmp.checksum, checksumBytes(view, messageAt, messageAt + messageLength, sum));
  return ICMPV6_MESSAGE_OFFSET + messageLength;
}
