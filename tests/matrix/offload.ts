// What the header in front of a frame says of work left to the other side (virtio 1.3, 5.1.6.2): a checksum to be completed, segments
// or datagrams to be cut. Written and checked by code that shares nothing with the daemon's.

import { slowSum } from "@passt-ts/tcp-vu/testing/frames";
import type { ReceivedFrame } from "@passt-ts/vhost-user-device/testing/test-ring";
import type { Case } from "./cases.ts";

/** MSS that the guest's connections announce: that of an MTU of 1500. */
export const SEGMENT_BYTES = 1460;

const IP_AT = 14;
const L4_AT = IP_AT + 20;
const NEEDS_CSUM = 1;
const TCP = { protocol: 6, checksumAt: 16, gsoType: 1 } as const;
const UDP = { protocol: 17, checksumAt: 6, gsoType: 5 } as const;
const UDP_HEADER_BYTES = 8;

/** A frame of the guest's. */
export interface SentFrame {
  readonly bytes: Uint8Array;
  /** Header of 12 bytes; default: it says nothing. */
  readonly header?: Uint8Array;
}

/** What a driver has agreed to take. */
export interface Taken {
  readonly checksums: boolean;
  readonly segments: boolean;
  readonly datagrams: boolean;
}

/** USO has the feature bits 54 to 56, and a legacy interface 0 to 31 only (virtio 1.3, 2.2.3). */
export function takenBy({ offloads, kind }: Case): Taken {
  return { checksums: offloads, segments: offloads, datagrams: offloads && !kind.legacy };
}

/** The frame of an IPv4 packet with its checksum left open, to be cut into pieces of `pieceBytes`. */
function leaveOpen(frame: Uint8Array, { protocol, checksumAt, gsoType }: typeof TCP | typeof UDP, pieceBytes: number) {
  const bytes = frame.slice();
  const l4Bytes = frame.length - L4_AT;
  new DataView(bytes.buffer).setUint16(
    L4_AT + checksumAt,
    slowSum(frame.subarray(IP_AT + 12, L4_AT), protocol + l4Bytes),
  );
  const headerBytes = L4_AT + (gsoType === TCP.gsoType ? (frame[L4_AT + 12] >>> 4) * 4 : UDP_HEADER_BYTES);
  const view = new DataView(new ArrayBuffer(12));
  view.setUint8(0, NEEDS_CSUM);
  if (frame.length - headerBytes > pieceBytes) {
    view.setUint8(1, gsoType);
    view.setUint16(2, headerBytes, true);
    view.setUint16(4, pieceBytes, true);
  }
  view.setUint16(6, L4_AT, true);
  view.setUint16(8, checksumAt, true);
  return { bytes, header: new Uint8Array(view.buffer) };
}

/** A TCP segment that is cut into segments of {@link SEGMENT_BYTES}. */
export function segmentedLater(frame: Uint8Array): SentFrame {
  return leaveOpen(frame, TCP, SEGMENT_BYTES);
}

/** A datagram that is cut into datagrams of `datagramBytes`, the last of which may be shorter. */
export function cutLater(frame: Uint8Array, datagramBytes: number): SentFrame {
  return leaveOpen(frame, UDP, datagramBytes);
}

/** `bytes` in pieces, the last of which may be shorter; 0: in one. */
export function inPieces(bytes: Uint8Array, pieceBytes: number): Uint8Array[] {
  if (pieceBytes === 0) return [bytes];
  const count = Math.ceil(bytes.length / pieceBytes);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes));
}

/** @throws Error when the header of a frame from the daemon says what was not agreed on, or is not so */
export function checkHeader(frame: ReceivedFrame, taken: Taken): void {
  const { bytes, flags, gsoType, gsoSize, headerLength, checksumStart, checksumOffset } = frame;
  const fields = [flags, gsoType, gsoSize, headerLength, checksumStart, checksumOffset];
  const fail = (why: string): never => {
    throw new Error(`a frame of ${bytes.length} bytes whose header says ${fields.join(" ")}: ${why}`);
  };
  if (flags === 0) return void (fields.some((field) => field !== 0) && fail("fields without a flag"));
  if (flags !== NEEDS_CSUM || !taken.checksums) fail("not agreed on");
  const isTcp = bytes[IP_AT + 9] === TCP.protocol;
  const { checksumAt } = isTcp ? TCP : UDP;
  if (checksumStart !== L4_AT || checksumOffset !== checksumAt) fail("another place of the checksum");
  if (gsoType === 0) return void ((gsoSize !== 0 || headerLength !== 0) && fail("sizes of pieces without pieces"));
  if (gsoType !== (isTcp ? TCP : UDP).gsoType) fail("another protocol's type");
  if (!(isTcp ? taken.segments : taken.datagrams)) fail("not agreed on");
  const headers = L4_AT + (isTcp ? (bytes[L4_AT + 12] >>> 4) * 4 : UDP_HEADER_BYTES);
  if (headerLength !== headers) fail(`the headers have ${headers} bytes`);
  if (gsoSize === 0 || bytes.length - headers <= gsoSize) fail("nothing to be cut");
}

/** @throws Error when a TCP frame holds more than a segment and is not to be cut into segments */
export function checkSegmentSize({ gsoType, gsoSize }: ReceivedFrame, payloadBytes: number): void {
  const isLong = payloadBytes > SEGMENT_BYTES;
  if (isLong !== (gsoType === TCP.gsoType) || (isLong && gsoSize !== SEGMENT_BYTES)) {
    throw new Error(`${payloadBytes} bytes in a frame of type ${gsoType}, in segments of ${gsoSize}`);
  }
}
