// How drivers lay out frames and receive buffers in descriptors. Lengths are bytes, those of the virtio-net header included.

import type { RamRegion } from "@passt-ts/vhost-user-device/testing/guest-ram";
import type { Kind } from "./kinds.ts";

const ETHERNET_BYTES = 14;
const L4_BYTES = ETHERNET_BYTES + 20;
/** Header and the longest frame: 64 KiB of IP. */
const WHOLE_BYTES = 12 + ETHERNET_BYTES + 65_535;
const BYTE_EACH_MAX = 1500 + ETHERNET_BYTES;
const RANDOM_PIECES = 64;

export interface SendLayout {
  readonly name: string;
  /** The descriptors of `length` bytes, but for the last one, which takes what is left. */
  readonly pieces: (length: number, headerLength: number) => readonly number[];
  /** Descriptors of one chain, at most. */
  readonly piecesMax: number;
}

export interface ReceiveLayout {
  readonly name: string;
  /** The descriptors of one buffer. */
  readonly pieces: (headerLength: number) => readonly number[];
  readonly buffers: number;
  /** Buffers shorter than a frame, which need MRG_RXBUF. */
  readonly short: boolean;
}

/** The same cuts each time: multiples of an odd step, round the length. */
function scatteredCuts(length: number): number[] {
  const cuts = new Set<number>();
  for (let i = 1; i < RANDOM_PIECES; i++) cuts.add(1 + ((i * 40_503) % (length - 1)));
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.map((cut, i) => cut - (sorted[i - 1] ?? 0));
}

function byteEach(length: number, headerLength: number): number[] {
  if (length - headerLength > BYTE_EACH_MAX) return scatteredCuts(length);
  return new Array<number>(length - 1).fill(1);
}

export const sendLayouts: readonly SendLayout[] = [
  { name: "one descriptor", pieces: () => [], piecesMax: 1 },
  { name: "header by itself", pieces: (_, header) => [header], piecesMax: 2 },
  { name: "cut inside the header", pieces: () => [5], piecesMax: 2 },
  { name: "each header by itself", pieces: (_, header) => [header, ETHERNET_BYTES, 20, 8], piecesMax: 5 },
  { name: "cut inside the IP header", pieces: (_, header) => [header + ETHERNET_BYTES + 7], piecesMax: 2 },
  { name: "cut at the payload", pieces: (_, header) => [header + L4_BYTES + 8], piecesMax: 2 },
  { name: "cut inside the payload", pieces: (_, header) => [header + L4_BYTES + 21, 3, 500], piecesMax: 4 },
  { name: "64 pieces", pieces: (length) => scatteredCuts(length), piecesMax: RANDOM_PIECES },
  { name: "a byte each", pieces: byteEach, piecesMax: BYTE_EACH_MAX + 12 },
];

const page = 4096;

export const receiveLayouts: readonly ReceiveLayout[] = [
  { name: "whole", pieces: () => [WHOLE_BYTES], buffers: 32, short: false },
  { name: "header by itself", pieces: (header) => [header, WHOLE_BYTES], buffers: 16, short: false },
  { name: "header and pages", pieces: (header) => [header, ...Array(17).fill(page)], buffers: 12, short: false },
  { name: "odd pieces", pieces: () => [1, 3, 7, 50, 1000, WHOLE_BYTES], buffers: 12, short: false },
  { name: "of one segment", pieces: () => [12 + 1514], buffers: 100, short: true },
  { name: "of 200 bytes in three pieces", pieces: () => [20, 1, 179], buffers: 680, short: true },
  { name: "shorter than the header", pieces: () => [8], buffers: 16_000, short: true },
];

export interface MemoryLayout {
  readonly name: string;
  readonly regions: (sizeBytes: number) => readonly RamRegion[] | undefined;
}

const GIB = 1024 ** 3;

export const memoryLayouts: readonly MemoryLayout[] = [
  { name: "one region", regions: () => undefined },
  {
    // Guest addresses go on from region to region, front-end addresses do not: buffers lie across, rings do not.
    name: "eight regions above 4 GiB",
    regions: (sizeBytes) =>
      Array.from({ length: 8 }, (_, i) => ({
        guestAddress: 5 * GIB + i * (sizeBytes / 8),
        userAddress: 0x7f00_0000_0000 + (7 - i) * GIB,
        fileOffset: i * (sizeBytes / 8),
        sizeBytes: sizeBytes / 8,
      })),
  },
];

/** What a ring needs, as numbers for a front-end. */
export interface Sizes {
  /** Descriptors of each ring, a power of two. */
  readonly queueSize: number;
  /** Descriptors of each indirect table; 0: there is none. */
  readonly indirectDescriptors: number;
  readonly memoryBytes: number;
}

const MIB = 1024 * 1024;

/** Rings that hold the longest chain and all buffers. */
export function sizesOf(kind: Kind, send: SendLayout, receive: ReceiveLayout): Sizes {
  const receivePieces = receive.pieces(12).length;
  const ofBuffers = receive.buffers * (kind.indirect ? 1 : receivePieces);
  // A chain has at most as many descriptors as its queue, in a table or not (virtio 1.3, 2.7.5.3.1).
  const descriptors = Math.max(256, ofBuffers, receivePieces, send.piecesMax);
  const queueSize = 2 ** Math.ceil(Math.log2(descriptors));
  const indirectDescriptors = kind.indirect ? Math.max(receivePieces, send.piecesMax) : 0;
  const tableBytes = 2 * 16 * queueSize * indirectDescriptors;
  return { queueSize, indirectDescriptors, memoryBytes: 2 ** Math.ceil(Math.log2(16 * MIB + tableBytes)) };
}
