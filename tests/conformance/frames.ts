// Builders of the guest's frames, over packages/wire.

import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeaderOf4, pseudoHeaderOf6 } from "@passt-ts/checksum/pseudo-header";
import { ArpOperation, writeArp } from "@passt-ts/wire/arp";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IcmpType, writeIcmpEcho } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import { multicastMacOf } from "@passt-ts/wire/mac";
import { Udp, writeUdp } from "@passt-ts/wire/udp";
import { macOf, wordsOf } from "./address.ts";
import { guestMac, host4, host6, ourMac } from "./host.ts";

const FRAME_BYTES_MAX = 65_550;
const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** Where a packet of the guest goes; its family is that of `to`. */
export interface Way {
  /** Default: the address that the daemon gives the guest. */
  readonly from?: string;
  readonly to: string;
  /** TTL or hop limit. Default 64, 255 for ICMPv6 other than echo. */
  readonly hopLimit?: number;
  /** Default: the daemon's MAC address, or that of the group. */
  readonly toMac?: string;
}

export interface ArpFields {
  readonly operation?: number;
  readonly toMac?: string;
  readonly senderMac?: string;
  readonly sender: string;
  readonly targetMac?: string;
  readonly target: string;
}

export function arp(fields: ArpFields): Uint8Array {
  const { operation = ArpOperation.request, toMac = BROADCAST, senderMac = guestMac } = fields;
  const frame = new Uint8Array(Ethernet.headerBytes + 28);
  const view = new DataView(frame.buffer);
  const at = writeEthernet(view, 0, macOf(toMac), macOf(senderMac), EtherType.arp);
  const targetMac = macOf(fields.targetMac ?? "00:00:00:00:00:00");
  writeArp(view, at, operation, macOf(senderMac), wordsOf(fields.sender), 0, targetMac, wordsOf(fields.target), 0);
  return frame;
}

function destinationMac(way: Way): Uint8Array {
  if (way.toMac !== undefined) return macOf(way.toMac);
  if (way.to === "255.255.255.255") return macOf(BROADCAST);
  if (!way.to.startsWith("ff")) return macOf(ourMac);
  const mac = new Uint8Array(6);
  multicastMacOf(wordsOf(way.to), mac);
  return mac;
}

/** A packet whose payload `write` puts at the given place; it returns the end. Checksums of the payload are complete. */
export function packet(
  way: Way,
  protocol: number,
  checksumAt: number,
  write: (view: DataView, at: number) => number,
): Uint8Array {
  const v6 = way.to.includes(":");
  const view = new DataView(new ArrayBuffer(FRAME_BYTES_MAX));
  const ipAt = writeEthernet(view, 0, destinationMac(way), macOf(guestMac), v6 ? EtherType.ipv6 : EtherType.ipv4);
  const l4At = ipAt + (v6 ? Ipv6.headerBytes : Ipv4.headerBytes);
  const end = write(view, l4At);
  const length = end - l4At;
  const from = wordsOf(way.from ?? (v6 ? host6 : host4));
  const hopLimit = way.hopLimit ?? 64;
  if (v6) writeIpv6(view, ipAt, length, protocol, hopLimit, 0, from, 0, wordsOf(way.to), 0);
  else writeIpv4(view, ipAt, length, protocol, hopLimit, from, 0, wordsOf(way.to), 0);
  const pseudo = v6
    ? pseudoHeaderOf6(view, ipAt, protocol, length)
    : protocol === IpProtocol.icmp
      ? 0
      : pseudoHeaderOf4(view, ipAt, protocol, length);
  view.setUint16(l4At + checksumAt, 0);
  const checksum = checksumBytes(view, l4At, end, pseudo);
  view.setUint16(l4At + checksumAt, protocol === IpProtocol.udp && checksum === 0 ? 0xffff : checksum);
  return new Uint8Array(view.buffer, 0, end).slice();
}

export function putBytes(view: DataView, at: number, bytes: Uint8Array): number {
  new Uint8Array(view.buffer, view.byteOffset).set(bytes, at);
  return at + bytes.length;
}

export function udp(way: Way, sourcePort: number, destinationPort: number, payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  return packet(way, IpProtocol.udp, Udp.checksum, (view, at) =>
    putBytes(view, writeUdp(view, at, sourcePort, destinationPort, bytes.length), bytes),
  );
}

export function ping(way: Way, identifier: number, sequence: number, payload: string): Uint8Array {
  const v6 = way.to.includes(":");
  const type = v6 ? Icmpv6Type.echoRequest : IcmpType.echoRequest;
  const protocol = v6 ? IpProtocol.icmpv6 : IpProtocol.icmp;
  return packet(way, protocol, 2, (view, at) =>
    putBytes(view, writeIcmpEcho(view, at, type, identifier, sequence), new TextEncoder().encode(payload)),
  );
}

/** An ICMPv6 message of neighbor discovery: its bytes from the type on, the checksum to be filled in. */
export function icmpv6(way: Way, message: Uint8Array): Uint8Array {
  return packet({ hopLimit: 255, ...way }, IpProtocol.icmpv6, 2, (view, at) => putBytes(view, at, message));
}
