// How a guest's memory is cut into regions, and where its rings lie in it.

import type { RamRegion } from "@passt-ts/vhost-user-device/testing/guest-ram";
import type { Random } from "./random.ts";

const MIB = 1024 * 1024;
const PAGE = 4096;
const GIB = 1024 ** 3;
/** A region more needs messages of its own: SET_MEM_TABLE names eight. */
const REGIONS_MAX = 8;

/** Bytes of a guest's memory, and what of it is each ring's; buffers begin behind both. */
export const GUEST_BYTES: number = 4 * MIB;
export const RING_BYTES: number = 64 * 1024;

/** Where the parts of a split ring begin, from where the ring begins (virtio 1.3, 2.7.2); a packed ring lies there as well. */
function ringParts(size: number): readonly number[] {
  const available = 16 * size;
  const used = (available + 2 * (size + 3) + 3) & ~3;
  return [0, available, used, used + 8 * size + 6];
}

/** Where a region may end so that no part of a ring lies in two. */
function sparingCuts(queueSize: number): number[] {
  return [0, RING_BYTES].flatMap((at) => ringParts(queueSize).map((part) => Math.ceil((at + part) / 4) * 4));
}

function cutOf(random: Random, queueSize: number, sparesRings: boolean): number {
  if (random.chance(0.3)) return sparesRings ? random.pick(sparingCuts(queueSize)) : 16 * random.below(RING_BYTES / 8);
  // Buffers are where the memory begins: that is where cuts are seen.
  const end = random.chance(0.8) ? 512 * 1024 : GUEST_BYTES;
  const at = 2 * RING_BYTES + random.below(end - 2 * RING_BYTES);
  return random.chance(0.7) ? at & -PAGE : at & -4;
}

/**
 * Cuts the memory of a guest into regions: one mostly, up to eight, in any order of front-end addresses, with holes between some.
 *
 * @param sparesRings each part of a ring lies in one region, and buffers in memory without holes.
 */
export function drawRegions(random: Random, queueSize: number, sparesRings: boolean): RamRegion[] {
  const count = random.chance(0.4) ? 1 : 2 + random.below(REGIONS_MAX - 1);
  const cuts = new Set(Array.from({ length: count - 1 }, () => cutOf(random, queueSize, sparesRings)));
  const ends = [...cuts, GUEST_BYTES].filter((end) => end > 0 && end <= GUEST_BYTES).sort((a, b) => a - b);
  let guestAddress = random.pick([GIB, GIB, 0, 5 * GIB, 4 * GIB - MIB]);
  const regions = ends.map((end, i) => {
    const fileOffset = ends[i - 1] ?? 0;
    // A hole of whole pages: what lies at a page's beginning here does so there.
    const mayHole = !sparesRings || fileOffset <= 2 * RING_BYTES;
    if (mayHole && random.chance(0.5)) guestAddress += PAGE * (1 + random.below(1000));
    const userAddress = 0x7f00_0000_0000 + random.below(1000) * PAGE + (fileOffset & (PAGE - 1));
    const region = { guestAddress, userAddress, fileOffset, sizeBytes: end - fileOffset };
    guestAddress += region.sizeBytes;
    return region;
  });
  return withUserOrder(regions, random);
}

/** The regions as the front-end has them in its memory: far from each other, or touching in another order. */
function withUserOrder(regions: readonly RamRegion[], random: Random): RamRegion[] {
  const places = regions.map((_, i) => i);
  for (let i = places.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [places[i], places[other]] = [places[other], places[i]];
  }
  return regions.map((region, i) => ({ ...region, userAddress: region.userAddress + places[i] * GIB }));
}
