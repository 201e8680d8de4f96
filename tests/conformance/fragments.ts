// Packets of the guest cut into fragments, and IPv6 packets with extension headers in front of their payload.

import { checksumBytes } from "@passt-ts/checksum/checksum";
import { Ethernet } from "@passt-ts/wire/ethernet";
import { Ipv4, Ipv4Fragment } from "@passt-ts/wire/ipv4";
import { Ipv6, Ipv6Extension, Ipv6FragmentHeader } from "@passt-ts/wire/ipv6";
import { viewOf } from "@passt-ts/wire/testing/frame-bytes";

const IDENTIFICATION = 0x1234;

/** A piece of a datagram: where it begins in the payload, where it ends, and whether others follow it. */
export interface Piece {
  readonly first: number;
  readonly end: number;
  readonly more: boolean;
}

/** The two pieces that make a payload of `lengthBytes` whole. */
export function halves(frame: Uint8Array): [Piece, Piece] {
  const lengthBytes = frame.length - payloadAt(frame);
  const middle = (lengthBytes >> 4) * 8;
  return [
    { first: 0, end: middle, more: true },
    { first: middle, end: lengthBytes, more: false },
  ];
}

const isIpv6 = (frame: Uint8Array): boolean => frame[Ethernet.headerBytes] >>> 4 === 6;

const payloadAt = (frame: Uint8Array): number =>
  Ethernet.headerBytes + (isIpv6(frame) ? Ipv6.headerBytes : Ipv4.headerBytes);

/** One fragment of the packet that `frame` holds; all fragments of a script have the same identification. */
export function fragment(frame: Uint8Array, piece: Piece, identification: number = IDENTIFICATION): Uint8Array {
  return isIpv6(frame) ? fragment6(frame, piece, identification) : fragment4(frame, piece, identification);
}

function fragment4(frame: Uint8Array, { first, end, more }: Piece, identification: number): Uint8Array {
  const at = payloadAt(frame);
  const out = Uint8Array.of(...frame.subarray(0, at), ...frame.subarray(at + first, at + end));
  const view = viewOf(out);
  const ipAt = Ethernet.headerBytes;
  view.setUint16(ipAt + Ipv4.totalLength, out.length - ipAt);
  view.setUint16(ipAt + Ipv4.identification, identification);
  view.setUint16(ipAt + Ipv4.fragment, (first >> 3) | (more ? Ipv4Fragment.moreFragments : 0));
  view.setUint16(ipAt + Ipv4.checksum, 0);
  view.setUint16(ipAt + Ipv4.checksum, checksumBytes(view, ipAt, at, 0));
  return out;
}

function fragment6(frame: Uint8Array, { first, end, more }: Piece, identification: number): Uint8Array {
  const at = payloadAt(frame);
  const piece = Uint8Array.of(...frame.subarray(0, at), ...frame.subarray(at + first, at + end));
  return withExtension(piece, Ipv6Extension.fragment, fragmentHeader(first, more, identification));
}

/** A fragment header; its next header is filled in by {@link withExtension}. */
export function fragmentHeader(first: number, more: boolean, identification: number = IDENTIFICATION): Uint8Array {
  const header = new Uint8Array(Ipv6FragmentHeader.headerBytes);
  const view = viewOf(header);
  view.setUint16(Ipv6FragmentHeader.offsetAndMore, first | (more ? 1 : 0));
  view.setUint32(Ipv6FragmentHeader.identification, identification);
  return header;
}

/** The IPv6 packet with an extension header more, in front of all others; the first byte of `header` is filled in. */
export function withExtension(frame: Uint8Array, kind: number, header: Uint8Array): Uint8Array {
  const at = payloadAt(frame);
  const out = Uint8Array.of(...frame.subarray(0, at), ...header, ...frame.subarray(at));
  out[at] = frame[Ethernet.headerBytes + Ipv6.nextHeader];
  out[Ethernet.headerBytes + Ipv6.nextHeader] = kind;
  viewOf(out).setUint16(Ethernet.headerBytes + Ipv6.payloadLength, out.length - at);
  return out;
}
