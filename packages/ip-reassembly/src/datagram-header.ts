/**
 * A place for one datagram: its bytes begin at {@link DATA_AT}, so that the headers of either family, and those of an
 * ICMP error that quotes it, fit in front of them.
 */
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { Ethernet } from "@passt-ts/wire/ethernet";
import { Ipv4, Ipv4Fragment } from "@passt-ts/wire/ipv4";
import { Ipv6 } from "@passt-ts/wire/ipv6";
import type { Packet } from "@passt-ts/wire/packet";

/** Where the bytes behind the IP header begin in a place. */
export const DATA_AT = 112;
/** Bytes of a place: headers, and the longest payload. */
export const SLOT_BYTES: number = DATA_AT + 65536;

/** Where the Ethernet header of the whole datagram lies in a place that begins at `at`. */
export function headersAt(at: number, ipVersion: number): number {
  return at + DATA_AT - Ethernet.headerBytes - (ipVersion === 4 ? Ipv4.headerBytes : Ipv6.headerBytes);
}

/** Copies the Ethernet header, and of the IP header what comes before options and extension headers, to a place. */
export function keepHeaders(own: DataView, at: number, packet: Packet, view: DataView): void {
  const to = headersAt(at, packet.ipVersion);
  const from = packet.ipAt - Ethernet.headerBytes;
  const bytes = at + DATA_AT - to;
  for (let i = 0; i < bytes; i++) own.setUint8(to + i, view.getUint8(from + i));
}

/**
 * Makes the kept headers those of one packet with `payloadBytes` bytes of `protocol` behind them; returns where the
 * frame begins.
 */
export function endHeaders(
  own: DataView,
  at: number,
  ipVersion: number,
  protocol: number,
  payloadBytes: number,
): number {
  const frameAt = headersAt(at, ipVersion);
  const ipAt = frameAt + Ethernet.headerBytes;
  if (ipVersion === 6) {
    own.setUint16(ipAt + Ipv6.payloadLength, payloadBytes);
    own.setUint8(ipAt + Ipv6.nextHeader, protocol);
    return frameAt;
  }
  own.setUint8(ipAt + Ipv4.versionAndLength, 0x45);
  own.setUint16(ipAt + Ipv4.totalLength, Ipv4.headerBytes + payloadBytes);
  own.setUint16(ipAt + Ipv4.fragment, own.getUint16(ipAt + Ipv4.fragment) & Ipv4Fragment.dontFragment);
  own.setUint16(ipAt + Ipv4.checksum, 0);
  own.setUint16(ipAt + Ipv4.checksum, checksumBytes(own, ipAt, ipAt + Ipv4.headerBytes));
  return frameAt;
}
