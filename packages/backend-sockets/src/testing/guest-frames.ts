/** Frames as a guest with checksum offload sends them, and how to tell apart those that it gets. */
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IcmpType, writeIcmpEcho } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { IpProtocol, writeIpv4 } from "@passt-ts/wire/ipv4";
import { writeIpv6 } from "@passt-ts/wire/ipv6";
import { Udp, writeUdp } from "@passt-ts/wire/udp";
import { GATEWAY4, GUEST_MAC, GUEST4, OUR_MAC } from "./backend-rig.ts";

/** What a test says of a packet from the guest. */
export interface GuestPacket {
  readonly source?: Uint32Array;
  readonly destination?: Uint32Array;
  readonly hopLimit?: number;
  readonly payload?: ArrayLike<number>;
}

export interface GuestDatagram extends GuestPacket {
  readonly sourcePort?: number;
  readonly destinationPort: number;
}

export interface GuestPing extends GuestPacket {
  readonly identifier?: number;
  readonly sequence?: number;
}

/** Bytes in front of the payload of a UDP datagram or an echo request. */
export const UDP4_HEADER_BYTES = 42;
export const UDP6_HEADER_BYTES = 62;

function packet(fields: GuestPacket, protocol: number, l4HeaderBytes: number): [frame: Uint8Array, l4At: number] {
  const { source = GUEST4, destination = GATEWAY4, hopLimit = 64, payload = [] } = fields;
  const v4 = source[2] === 0xffff;
  const l4Length = l4HeaderBytes + payload.length;
  const frame = new Uint8Array(Ethernet.headerBytes + (v4 ? 20 : 40) + l4Length);
  const view = new DataView(frame.buffer);
  const ipAt = writeEthernet(view, 0, OUR_MAC, GUEST_MAC, v4 ? EtherType.ipv4 : EtherType.ipv6);
  const l4At = v4
    ? writeIpv4(view, ipAt, l4Length, protocol, hopLimit, source, 0, destination, 0)
    : writeIpv6(view, ipAt, l4Length, protocol, hopLimit, 0, source, 0, destination, 0);
  frame.set(Array.from(payload), l4At + l4HeaderBytes);
  return [frame, l4At];
}

export function udpFrame(fields: GuestDatagram): Uint8Array {
  const [frame, l4At] = packet(fields, IpProtocol.udp, Udp.headerBytes);
  const { sourcePort = 40000, destinationPort, payload = [] } = fields;
  writeUdp(new DataView(frame.buffer), l4At, sourcePort, destinationPort, payload.length);
  return frame;
}

export function pingFrame(fields: GuestPing = {}): Uint8Array {
  const v4 = (fields.source ?? GUEST4)[2] === 0xffff;
  const [frame, l4At] = packet(fields, v4 ? IpProtocol.icmp : IpProtocol.icmpv6, 8);
  const type = v4 ? IcmpType.echoRequest : Icmpv6Type.echoRequest;
  writeIcmpEcho(new DataView(frame.buffer), l4At, type, fields.identifier ?? 77, fields.sequence ?? 1);
  return frame;
}

/** IP protocol of a frame; 0 for ARP. */
export function protocolOf(frame: Uint8Array): number {
  const etherType = frame[12] * 256 + frame[13];
  return etherType === EtherType.ipv4 ? frame[23] : etherType === EtherType.ipv6 ? frame[20] : 0;
}

export const isTcp = (frame: Uint8Array): boolean => protocolOf(frame) === IpProtocol.tcp;
export const isUdp = (frame: Uint8Array): boolean => protocolOf(frame) === IpProtocol.udp;
export const isIcmp = (frame: Uint8Array): boolean =>
  protocolOf(frame) === IpProtocol.icmp || protocolOf(frame) === IpProtocol.icmpv6;

/** `length` bytes that differ from their neighbours, beginning with `from`. */
export function pattern(length: number, from = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 31 + ((from + i) >>> 8)) & 255);
}
