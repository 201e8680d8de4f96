import { DESCRIPTOR_BYTES, DescriptorFlag } from "@passt-ts/virtio-ring/descriptor";
import {
  availableFlags,
  isPackedPosition,
  isUntouched,
  OWNERSHIP_FLAGS,
  type PackedRing,
  usedFlags,
} from "@passt-ts/virtio-ring/packed-ring";
import { Available, type SplitRing, Used } from "@passt-ts/virtio-ring/split-ring";

/**
 * Where a split ring goes on whose front-end names `base` as the next available index.
 *
 * A device that holds no chain between two rounds goes on where the used ring ends, so `base` and the used index say
 * the same, unless `base` is stale: a back-end was killed that had taken chains and not returned them (they are taken
 * again), or the front-end did not know how far it had come (what was used is not used again). Only a used index that
 * the available index, which the driver keeps, cannot follow is not believed: that of a driver that begins anew over
 * memory that it did not clear.
 */
export function splitRestartIndex(ring: SplitRing, base: number): number {
  const used = Atomics.load(ring.used, Used.index);
  const available = Atomics.load(ring.available, Available.index);
  return ((available - used) & 0xffff) <= ring.size ? used : base;
}

/** Where a packed ring goes on. */
export interface PackedRestart {
  /** Offset, with the wrap counter in bit 15. */
  readonly position: number;
  /** False: neither what the last device told nor the front-end vouches for it. */
  readonly certain: boolean;
}

/**
 * Where a packed ring goes on whose front-end names `base`: offset, with the wrap counter in bit 15.
 *
 * A device of this package writes down where it stands, in the offset of the device event suppression, which its driver
 * does not read otherwise; only one that was killed in a publication may be further. What another one left there may be
 * anything: it is believed when the descriptors there and before say the same. Without it the device stands behind what was
 * used last. `base` tells of rings that nobody has used.
 *
 * What of the ring a killed device had written in a publication is completed: chains that it has returned, and of which
 * nothing but that is left, or that cannot be told from the rest of one that was, go back to the driver with no bytes.
 */
export function packedRestartPosition(ring: PackedRing, base: number, inOrder: boolean): PackedRestart {
  const wanted = base & 0xffff;
  const told = Atomics.load(ring.deviceEvent, 0) & 0xffff;
  if (isPackedPosition(told, ring.size) && isUsedBefore(ring, told, inOrder)) {
    return { position: completePublication(ring, told, inOrder), certain: true };
  }
  // A new ring, whose driver was there first.
  if (isUntouched(ring)) return { position: wanted, certain: true };
  const end = nextOfDriver(ring);
  const oldest = end ^ 0x8000;
  const used = firstUsed(ring, oldest);
  if (used >= 0) {
    const position = endOfUses(ring, used, inOrder);
    return { position, certain: position === wanted };
  }
  // The rest of what was used, or the first that was not: in order, any number of chains.
  const rest = inOrder ? end : endOfFirst(ring, oldest);
  returnChains(ring, oldest, rest);
  return { position: rest, certain: false };
}

/**
 * Where the driver will make the next descriptor available: in either state the AVAIL flag is the wrap counter of the
 * lap in which it made it available last.
 */
function nextOfDriver({ descriptors, size }: PackedRing): number {
  const wrapOf = (at: number): number => (((descriptors[at * 4 + 3] >>> 16) & DescriptorFlag.available) !== 0 ? 1 : 0);
  const wrap = wrapOf(0);
  let at = 1;
  while (at < size && wrapOf(at) === wrap) at++;
  return at === size ? (wrap ^ 1) << 15 : (wrap << 15) | at;
}

/** What a descriptor is to a device that comes to it in the lap of a position. */
const State = { ofAnotherLap: 0, available: 1, used: 2 } as const;

function stateAt({ descriptors }: PackedRing, position: number): number {
  const ownership = (Atomics.load(descriptors, (position & 0x7fff) * 4 + 3) >>> 16) & OWNERSHIP_FLAGS;
  if (ownership === availableFlags(position >>> 15)) return State.available;
  return ownership === usedFlags(position >>> 15) ? State.used : State.ofAnotherLap;
}

function hasNext({ descriptors }: PackedRing, position: number): boolean {
  return ((descriptors[(position & 0x7fff) * 4 + 3] >>> 16) & DescriptorFlag.next) !== 0;
}

function idAt({ descriptors }: PackedRing, position: number): number {
  return descriptors[(position & 0x7fff) * 4 + 3] & 0xffff;
}

function after(position: number, size: number): number {
  return (position & 0x7fff) + 1 === size ? (position & 0x8000) ^ 0x8000 : position + 1;
}

function before(position: number, size: number): number {
  return (position & 0x7fff) === 0 ? ((position & 0x8000) ^ 0x8000) | (size - 1) : position - 1;
}

/** Says whether the chain that ends before `position` can be one that was used. */
function isUsedBefore(ring: PackedRing, position: number, inOrder: boolean): boolean {
  let at = position;
  for (let i = 0; i < ring.size; i++) {
    at = before(at, ring.size);
    const state = stateAt(ring, at);
    // The driver can have made it available again only when it has come round to what lies here.
    if (state === State.ofAnotherLap) return stateAt(ring, position) !== State.ofAnotherLap;
    if (state === State.used) return true;
    // The end of a chain, and what is in front of it, whose first descriptor alone is marked; in order, other chains too.
    if (hasNext(ring, at) !== i > 0 && !(inOrder && i > 0)) return false;
  }
  return false;
}

/** The first descriptor from `position` on that is marked used in its lap; -1 when there is none. */
function firstUsed(ring: PackedRing, position: number): number {
  let at = position;
  for (let i = 0; i < ring.size; i++) {
    const state = stateAt(ring, at);
    if (state === State.used) return at;
    if (state === State.ofAnotherLap) return -1;
    at = after(at, ring.size);
  }
  return -1;
}

/** Does the rest of a publication that began at `position`, if there is one. Returns where it ends. */
function completePublication(ring: PackedRing, position: number, inOrder: boolean): number {
  const used = firstUsed(ring, position);
  if (used >= 0) {
    // In this order: as long as the driver waits for what comes first, all ids are different ones.
    const end = endOfUses(ring, used, inOrder);
    returnChains(ring, position, used);
    return end;
  }
  if (stateAt(ring, position) !== State.available || !isOverwritten(ring, position)) return position;
  const end = endOfFirst(ring, position);
  returnChains(ring, position, end);
  return end;
}

/** The length of a used descriptor is written there, and not yet its flags, as far as that can be seen. */
function isOverwritten({ descriptors }: PackedRing, position: number): boolean {
  const at = (position & 0x7fff) * 4;
  const refers = ((descriptors[at + 3] >>> 16) & DescriptorFlag.indirect) !== 0;
  return descriptors[at + 2] === 0 || (refers && descriptors[at + 2] % DESCRIPTOR_BYTES !== 0);
}

/** Where the chain ends that begins at a position. */
function endOfFirst(ring: PackedRing, position: number): number {
  let last = position;
  for (let i = 1; i < ring.size && hasNext(ring, last); i++) last = after(last, ring.size);
  return after(last, ring.size);
}

/** Where a device stands that has used the chain at `position` and perhaps others behind it. */
function endOfUses(ring: PackedRing, position: number, inOrder: boolean): number {
  const { size } = ring;
  let last = position;
  let end = position;
  for (let i = 0; i < size && stateAt(ring, end) !== State.ofAnotherLap; i++) {
    if (stateAt(ring, end) === State.used) last = end;
    end = after(end, size);
  }
  const first = after(last, size);
  const behind = endOfChain(ring, first, end, idAt(ring, last), inOrder);
  if (behind < 0) return first;
  // The rest of the chain, or one that the driver made available with the id that it has just got back. To return it is
  // right in either case: a driver that is past it does not look.
  returnChains(ring, first, behind);
  return behind;
}

/**
 * Where a chain with this id ends that has not begun later than at `from`; -1 when what lies there is another chain. The
 * last descriptor of a chain has its id.
 */
function endOfChain(ring: PackedRing, from: number, end: number, id: number, inOrder: boolean): number {
  for (let at = from; at !== end; at = after(at, ring.size)) {
    if (hasNext(ring, at)) continue;
    if (idAt(ring, at) === id) return after(at, ring.size);
    if (!inOrder) return -1;
  }
  return -1;
}

/**
 * Marks the chains from one position to another as used: the first one last, as it tells the driver of all. Also the one
 * in whose middle `to` lies, where a descriptor was marked used: a front-end that believes the ring to stand elsewhere, as
 * QEMU does of one whose device was killed, returns from there what the driver sends meanwhile. What it left there as the id
 * is the chain's where the driver writes that into every descriptor, as Linux does; no other place would tell.
 */
function returnChains(ring: PackedRing, from: number, to: number): void {
  const { descriptors, size } = ring;
  let first = from;
  let firstWord = -1;
  let at = from;
  const markUsed = (id: number): void => {
    const word = (first & 0x7fff) * 4;
    const flags = usedFlags(first >>> 15) | ((descriptors[word + 3] >>> 16) & DescriptorFlag.write);
    const used = ((flags << 16) | id) >>> 0;
    if (firstWord < 0) firstWord = used;
    else descriptors[word + 3] = used;
    descriptors[word + 2] = 0;
  };
  for (let i = 0; i < size && at !== to; i++) {
    const last = at;
    at = after(at, size);
    if (hasNext(ring, last)) continue;
    markUsed(idAt(ring, last));
    first = at;
  }
  if (first !== to) markUsed(idAt(ring, to));
  if (firstWord >= 0) Atomics.store(descriptors, (from & 0x7fff) * 4 + 3, firstWord);
}
