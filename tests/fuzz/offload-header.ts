// virtio-net headers of a driver that leaves checksums and segmentation to the device, right ones and quite wrong ones.

import { writeVirtioNetHeader } from "@passt-ts/wire/virtio-net-header";
import type { Random } from "./random.ts";

const IP_AT = 14;
const TCP = 6;
const UDP = 17;
const NEEDS_CHECKSUM = 1;
/** VIRTIO_NET_HDR_GSO_*: none, TCPv4, UDP (never offered), TCPv6, UDP_L4. */
const GSO = { none: 0, tcpv4: 1, udp: 3, tcpv6: 4, udpL4: 5 } as const;
const ECN = 0x80;
const EDGES = [0, 1, 2, 6, 13, 14, 16, 33, 34, 50, 54, 255, 256, 1514, 32_767, 32_768, 65_533, 65_534, 65_535];
const SIZES = [0, 1, 2, 8, 100, 536, 1448, 1460, 1460, 1472, 1472, 9000, 65_507, 65_535];
const LENGTHEN_MAX = 65_000;

/** Where a frame's TCP or UDP header is. */
interface L4 {
  readonly isV4: boolean;
  readonly protocol: number;
  readonly at: number;
}

/** Whatever it is that follows the IP header; null when there is none. */
function l4Of(frame: Uint8Array): L4 | null {
  const type = frame[12] * 256 + frame[13];
  if (type === 0x0800 && frame.length > IP_AT + 20) {
    return { isV4: true, protocol: frame[IP_AT + 9], at: IP_AT + 4 * (frame[IP_AT] & 15) };
  }
  if (type === 0x86dd && frame.length > IP_AT + 40) return { isV4: false, protocol: frame[IP_AT + 6], at: IP_AT + 40 };
  return null;
}

function matchingGso({ isV4, protocol }: L4): number {
  if (protocol === UDP) return GSO.udpL4;
  if (protocol !== TCP) return GSO.none;
  return isV4 ? GSO.tcpv4 : GSO.tcpv6;
}

/** A longer payload, which the headers tell of, or mostly do. */
function lengthened(frame: Uint8Array, l4: L4, random: Random): Uint8Array {
  const longer = new Uint8Array(Math.min(frame.length + random.few(LENGTHEN_MAX), IP_AT + 65_535));
  longer.set(frame);
  longer.fill(random.below(256), frame.length);
  const view = new DataView(longer.buffer);
  if (random.chance(0.9)) {
    if (l4.isV4) view.setUint16(IP_AT + 2, longer.length - IP_AT);
    else view.setUint16(IP_AT + 4, longer.length - IP_AT - 40);
    if (l4.isV4) putIpv4Checksum(view, l4.at);
  }
  if (l4.protocol === UDP && l4.at + 6 <= longer.length && random.chance(0.9))
    view.setUint16(l4.at + 4, longer.length - l4.at);
  return longer;
}

function putIpv4Checksum(view: DataView, end: number): void {
  if (end > view.byteLength) return;
  view.setUint16(IP_AT + 10, 0);
  let sum = 0;
  for (let at = IP_AT; at < end; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(IP_AT + 10, ~sum & 0xffff);
}

/** A frame and the header in front of it. */
export interface OffloadFrame {
  readonly frame: Uint8Array;
  readonly header: Uint8Array;
}

/** Leaves the checksum of a frame, and often its segmentation, to the device. @param headerLength 10 or 12. */
export function offloaded(plain: Uint8Array, headerLength: number, random: Random): OffloadFrame {
  const l4 = l4Of(plain);
  const frame = l4 !== null && random.chance(0.5) ? lengthened(plain, l4, random) : plain;
  const number = (right: number): number => {
    if (random.chance(0.85)) return right & 0xffff;
    return random.chance(0.7) ? random.pick(EDGES) : random.below(65_536);
  };
  const start = l4?.at ?? 34;
  const checksumAt = l4?.protocol === UDP ? 6 : 16;
  const l4Bytes = l4?.protocol === UDP ? 8 : 20;
  const flags = random.chance(0.9) ? NEEDS_CHECKSUM : random.below(256);
  let gso: number = GSO.none;
  if (random.chance(0.6)) gso = l4 !== null && random.chance(0.8) ? matchingGso(l4) : random.pick(Object.values(GSO));
  if (random.chance(0.1)) gso = random.below(256);
  if (random.chance(0.15)) gso |= ECN;
  const header = new Uint8Array(headerLength);
  const view = new DataView(header.buffer);
  const size = random.chance(0.8) ? random.pick(SIZES) : random.below(65_536);
  const bufferCount = random.chance(0.9) ? 0 : random.below(65_536);
  const [hdr, at, offset] = [number(start + l4Bytes), number(start), number(checksumAt)];
  writeVirtioNetHeader(view, 0, headerLength, flags, gso, hdr, gso === GSO.none ? 0 : size, at, offset, bufferCount);
  return { frame, header };
}
