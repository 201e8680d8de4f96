// What a guest of the ring fuzzer is: drawn at random for each round.

import { featureBit, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import type { Random } from "./random.ts";

/** What a connection cannot change. */
export interface GuestKind {
  readonly queueSize: number;
  readonly indirectDescriptors: number;
  readonly startIndex?: number;
}

const KINDS: readonly GuestKind[] = [
  { queueSize: 256, indirectDescriptors: 16 },
  { queueSize: 16, indirectDescriptors: 4 },
  { queueSize: 1024, indirectDescriptors: 0, startIndex: 65_530 },
];

const RECEIVE_LAYOUTS: readonly (readonly number[])[] = [
  [1526],
  [12, 1514],
  [65_562],
  [200],
  [7],
  [1, 2, 3, 2000],
  [500, 5000, 5000, 60_000],
];

const SEND_PIECES = [0, 1, 12, 14, 20, 10, 54, 100, 700];

export function drawKind(random: Random): GuestKind {
  return random.pick(KINDS);
}

/** Receive buffers, as the lengths of their descriptors, header included. */
export function drawReceiveLayout(random: Random): readonly number[] {
  return random.pick(RECEIVE_LAYOUTS);
}

/** How a frame is cut, header included; what is not covered goes into one more descriptor. */
export function drawSendLayout(random: Random): number[] {
  return Array.from({ length: random.few(12) }, () => random.pick(SEND_PIECES)).filter((length) => length > 0);
}

/** Features to acknowledge, as far as they are offered. */
export function drawFeatures(random: Random): bigint {
  const { PROTOCOL_FEATURES, VERSION_1, VHOST_LOG_ALL } = VirtioFeature;
  let features = ~0n;
  for (let bit = 0; bit < 64; bit++) {
    const absent = bit === VHOST_LOG_ALL ? 0.7 : 0.25;
    if (bit !== PROTOCOL_FEATURES && random.chance(absent)) features &= ~featureBit(bit);
  }
  // The same ring cannot be half of one kind.
  return random.chance(0.8) ? features | featureBit(VERSION_1) : features;
}
