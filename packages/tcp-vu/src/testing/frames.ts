import type { RecordedFrame } from "@passt-ts/net-backend/testing/recording-sink";

/** TCP flags as a guest's test writes them. */
export const F = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

/** What a test says of a segment from the guest. */
export interface SegmentFields {
  readonly source: Uint32Array;
  readonly destination: Uint32Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly options: readonly number[];
  readonly payload: ArrayLike<number>;
}

/** A segment that the engine sent, parsed by code that shares nothing with the engine's. */
export interface SeenSegment {
  readonly ipVersion: 4 | 6;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly source: number[];
  readonly destination: number[];
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly options: number[];
  readonly payload: number[];
  readonly frame: RecordedFrame;
}

const isMapped = (words: Uint32Array): boolean => words[0] === 0 && words[1] === 0 && words[2] === 0xffff;

/** The frame of a segment as a guest with checksum offload sends it. */
export function serializeSegment(fields: Partial<SegmentFields>): Uint8Array {
  const { source = Uint32Array.of(0, 0, 0xffff, 0x0a000002), destination = Uint32Array.of(0, 0, 0xffff, 0x08080404) } =
    fields;
  const { sourcePort = 40000, destinationPort = 80, sequence = 0, acknowledgment = 0, flags = 0 } = fields;
  const { window = 65535, options = [], payload = [] } = fields;
  const v4 = isMapped(source);
  const ipBytes = v4 ? 20 : 40;
  const tcpBytes = 20 + options.length;
  const frame = new Uint8Array(14 + ipBytes + tcpBytes + payload.length);
  const view = new DataView(frame.buffer);
  frame.set([0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 0x52, 0x54, 0, 0, 0, 9]);
  view.setUint16(12, v4 ? 0x0800 : 0x86dd);
  if (v4) {
    view.setUint16(14, 0x4500);
    view.setUint16(16, ipBytes + tcpBytes + payload.length);
    view.setUint8(22, 64);
    view.setUint8(23, 6);
    view.setUint32(26, source[3]);
    view.setUint32(30, destination[3]);
    view.setUint16(24, ~slowSum(frame.subarray(14, 34), 0) & 0xffff);
  } else {
    view.setUint32(14, 0x60000000);
    view.setUint16(18, tcpBytes + payload.length);
    view.setUint8(20, 6);
    view.setUint8(21, 64);
    for (let i = 0; i < 4; i++) {
      view.setUint32(22 + 4 * i, source[i]);
      view.setUint32(38 + 4 * i, destination[i]);
    }
  }
  const at = 14 + ipBytes;
  view.setUint16(at, sourcePort);
  view.setUint16(at + 2, destinationPort);
  view.setUint32(at + 4, sequence);
  view.setUint32(at + 8, acknowledgment);
  view.setUint8(at + 12, tcpBytes << 2);
  view.setUint8(at + 13, flags);
  view.setUint16(at + 14, window);
  frame.set(options, at + 20);
  frame.set(Array.from(payload), at + tcpBytes);
  return frame;
}

/** The one's complement sum, byte by byte: slow and obvious. */
export function slowSum(bytes: Uint8Array, initial: number): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] * 256 : bytes[i];
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum % 0x10000);
  return sum;
}

/** Parses a frame and checks every length and checksum in it. @throws when one is wrong. */
export function parseSegment(frame: RecordedFrame): SeenSegment {
  const { bytes } = frame;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ipVersion = view.getUint16(12) === 0x0800 ? 4 : 6;
  const ipBytes = ipVersion === 4 ? 20 : 40;
  const ipLength = ipVersion === 4 ? view.getUint16(16) : 40 + view.getUint16(18);
  if (14 + ipLength !== bytes.length) throw new Error(`IP says ${ipLength} bytes in a frame of ${bytes.length}`);
  if (ipVersion === 4 && slowSum(bytes.subarray(14, 34), 0) !== 0xffff) throw new Error("wrong IPv4 header checksum");
  const at = 14 + ipBytes;
  const l4Length = bytes.length - at;
  const addresses = ipVersion === 4 ? bytes.subarray(26, 34) : bytes.subarray(22, 54);
  const pseudo = slowSum(addresses, 6 + l4Length);
  if ((frame.flags & 1) !== 0) {
    if (frame.checksumStart !== at || frame.checksumOffset !== 16) throw new Error("wrong place of the checksum");
    if (view.getUint16(at + 16) !== pseudo) throw new Error("wrong pseudo-header sum");
  } else if (slowSum(bytes.subarray(at), pseudo) !== 0xffff) throw new Error("wrong TCP checksum");
  const tcpBytes = (bytes[at + 12] >>> 4) * 4;
  const half = addresses.length / 2;
  return {
    ipVersion,
    source: [...addresses.subarray(0, half)],
    destination: [...addresses.subarray(half)],
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + 2),
    sequence: view.getUint32(at + 4),
    acknowledgment: view.getUint32(at + 8),
    flags: bytes[at + 13],
    window: view.getUint16(at + 14),
    options: [...bytes.subarray(at + 20, at + tcpBytes)],
    payload: [...bytes.subarray(at + tcpBytes)],
    frame,
  };
}
