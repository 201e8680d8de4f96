// Reads frames of the daemon with code that shares nothing with it, and checks every length and checksum.

import { slowSum } from "@passt-ts/tcp-vu/testing/frames";
import type { ReceivedFrame } from "@passt-ts/vhost-user-device/testing/test-ring";

const IP_AT = 14;
const L4_AT = IP_AT + 20;
const UDP = 17;
const ICMP = 1;

export interface Datagram {
  readonly source: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const u16 = (bytes: Uint8Array, at: number): number => bytes[at] * 256 + bytes[at + 1];

export function isArp({ bytes }: ReceivedFrame): boolean {
  return u16(bytes, 12) === 0x0806;
}

function isIpv4({ bytes }: ReceivedFrame, protocol: number): boolean {
  return u16(bytes, 12) === 0x0800 && bytes[IP_AT + 9] === protocol;
}

export function isTcp(frame: ReceivedFrame): boolean {
  return isIpv4(frame, 6);
}

/** The IP packet without Ethernet's padding, as a frame. @throws Error when lengths do not fit. */
export function unpadded(frame: ReceivedFrame): ReceivedFrame {
  const { bytes } = frame;
  const end = IP_AT + u16(bytes, IP_AT + 2);
  if (end > bytes.length) throw new Error(`IP says ${end - IP_AT} bytes in a frame of ${bytes.length}`);
  if (end < bytes.length && bytes.length > 60) throw new Error(`${bytes.length - end} bytes behind the IP packet`);
  if (slowSum(bytes.subarray(IP_AT, L4_AT), 0) !== 0xffff) throw new Error("wrong IPv4 header checksum");
  return { ...frame, bytes: bytes.subarray(0, end) };
}

/** The datagram in a frame, or null. @throws Error for a wrong length or checksum. */
export function datagramIn(frame: ReceivedFrame): Datagram | null {
  if (!isIpv4(frame, UDP)) return null;
  const { bytes, flags, checksumStart, checksumOffset } = unpadded(frame);
  const length = u16(bytes, L4_AT + 4);
  if (L4_AT + length !== bytes.length) throw new Error(`UDP says ${length} bytes, IP ${bytes.length - L4_AT}`);
  const pseudo = slowSum(bytes.subarray(IP_AT + 12, L4_AT), UDP + length);
  const checksum = u16(bytes, L4_AT + 6);
  if ((flags & 1) !== 0) {
    if (checksumStart !== L4_AT || checksumOffset !== 6) throw new Error("wrong place of the checksum");
    if (checksum !== pseudo) throw new Error("wrong pseudo-header sum");
  } else if (checksum !== 0 && slowSum(bytes.subarray(L4_AT), pseudo) !== 0xffff) throw new Error("wrong UDP checksum");
  return {
    source: bytes.subarray(IP_AT + 12, IP_AT + 16).join("."),
    sourcePort: u16(bytes, L4_AT),
    destinationPort: u16(bytes, L4_AT + 2),
    payload: bytes.slice(L4_AT + 8),
  };
}

/** Identifier, sequence number and data of an echo reply, or null. @throws Error for a wrong length or checksum. */
export function echoReplyIn(
  frame: ReceivedFrame,
): { readonly identifier: number; readonly sequence: number; readonly data: Uint8Array } | null {
  if (!isIpv4(frame, ICMP)) return null;
  const { bytes } = unpadded(frame);
  if (slowSum(bytes.subarray(L4_AT), 0) !== 0xffff) throw new Error("wrong ICMP checksum");
  if (bytes[L4_AT] !== 0) throw new Error(`ICMP type ${bytes[L4_AT]}`);
  return { identifier: u16(bytes, L4_AT + 4), sequence: u16(bytes, L4_AT + 6), data: bytes.slice(L4_AT + 8) };
}
