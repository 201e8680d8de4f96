import { DescriptorFlag } from "@passt-ts/virtio-ring/descriptor";
import { availableFlags, OWNERSHIP_FLAGS, type PackedRing } from "@passt-ts/virtio-ring/packed-ring";
import { Available, type SplitRing, Used } from "@passt-ts/virtio-ring/split-ring";

/**
 * Where a split ring goes on whose front-end names `base` as the next available index.
 *
 * A device that holds no chain between two rounds goes on where the used ring ends, so `base` and the used index say
 * the same, unless one of them is stale: a back-end was killed that had taken chains and not returned them (they are
 * taken again), or the front-end did not know how far it had come. The available index, which the driver keeps, tells
 * which one to believe. A driver that begins anew over memory that it did not clear has only `base` in its favour.
 */
export function splitRestartIndex(ring: SplitRing, base: number): number {
  const used = Atomics.load(ring.used, Used.index);
  const available = Atomics.load(ring.available, Available.index);
  const fits = (start: number): boolean => ((available - start) & 0xffff) <= ring.size;
  if (!fits(used)) return base;
  const ahead = (base - used) & 0xffff;
  return ahead <= ring.size || !fits(base) ? used : base;
}

/** The USED flag in the last word of a descriptor. */
const USED_FLAG: number = (DescriptorFlag.used << 16) >>> 0;

/**
 * Where a packed ring goes on whose front-end names `base`: offset, with the wrap counter in bit 15.
 *
 * No part of the ring says how far its device has come, and a front-end whose back-end was killed does not know. But the
 * USED flag of a descriptor is the wrap counter of the lap in which it was used last, so in a ring of chains of one
 * descriptor each (receive buffers, and whatever is in indirect tables) it changes exactly where the device stands.
 * Descriptors behind the first one of a longer chain are not written by a device: with those the flag changes in more
 * places and tells nothing, and `base` has to be right. So it has when it is ahead by descriptors that could be such.
 */
export function packedRestartPosition(ring: PackedRing, base: number): number {
  const { size } = ring;
  const wanted = base & 0xffff;
  const wrapOf = (at: number): number => ((ring.descriptors[at * 4 + 3] & USED_FLAG) !== 0 ? 1 : 0);
  const first = wrapOf(0);
  let end = 0;
  while (end < size && wrapOf(end) === first) end++;
  for (let at = end; at < size; at++) if (wrapOf(at) === first) return wanted;
  const found = end === size ? (first ^ 1) << 15 : (first << 15) | end;
  return isSkipped(ring, found, wanted) ? wanted : found;
}

/** Says whether the descriptors from one position to another look like all but the first one of a chain. */
function isSkipped({ descriptors, size }: PackedRing, from: number, to: number): boolean {
  let position = from;
  for (let i = 0; i < size; i++) {
    if (position === to) return true;
    const flags = descriptors[(position & 0x7fff) * 4 + 3] >>> 16;
    if ((flags & OWNERSHIP_FLAGS) !== availableFlags(position >>> 15)) return false;
    position = (position & 0x7fff) + 1 === size ? (position & 0x8000) ^ 0x8000 : position + 1;
    if ((flags & DescriptorFlag.next) === 0) return position === to;
  }
  return false;
}
