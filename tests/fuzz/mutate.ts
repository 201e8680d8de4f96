// Bytes a little, or quite, unlike those that were right.

import type { Random } from "./random.ts";

/** Numbers at which code turns round. */
const EDGES: readonly number[] = [
  0, 1, 2, 3, 4, 7, 8, 16, 20, 59, 60, 64, 127, 128, 255, 256, 1023, 1024, 1500, 4095, 4096, 32767, 32768, 65534, 65535,
  65536, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_0000, 0xffff_fffe, 0xffff_ffff,
];

/** A number of 32 bits: an edge, a small one, or any. */
export function edgeNumber(random: Random): number {
  const kind = random.below(4);
  if (kind < 2) return random.pick(EDGES);
  return kind === 2 ? random.below(64) : random.word();
}

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

function put(bytes: Uint8Array, random: Random, size: number): Uint8Array {
  if (bytes.length < size) return bytes;
  const at = random.below(bytes.length - size + 1);
  const littleEndian = random.chance(0.5);
  const value = edgeNumber(random);
  for (let i = 0; i < size; i++) bytes[at + i] = i > 3 ? 0 : value >>> (8 * (littleEndian ? i : size - 1 - i));
  return bytes;
}

const mutations: readonly Mutation[] = [
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    return bytes;
  },
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.word();
    return bytes;
  },
  (bytes, random) => put(bytes, random, 2),
  (bytes, random) => put(bytes, random, 4),
  (bytes, random) => put(bytes, random, 8),
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => {
    const longer = new Uint8Array(bytes.length + random.few(3000));
    longer.set(bytes);
    for (let i = bytes.length; i < longer.length; i++) longer[i] = random.word();
    return longer;
  },
  (bytes, random) => {
    const [from, to] = [random.below(bytes.length + 1), random.below(bytes.length + 1)];
    return bytes.copyWithin(to, from, from + random.few(64));
  },
];

/** A copy with a few changes. */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  let result: Uint8Array = bytes.slice();
  for (let left = random.few(8); left > 0; left--) result = random.pick(mutations)(result, random);
  return result;
}
