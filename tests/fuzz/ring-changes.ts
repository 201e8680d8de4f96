// Changes of a ring behind its driver's back, anywhere in it.

import type { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import type { TestRing } from "@passt-ts/vhost-user-device/testing/test-ring";
import { RING_BYTES } from "./memory-layout.ts";
import { edgeNumber } from "./mutate.ts";
import type { Random } from "./random.ts";

/** Changes what the device reads in one of the rings, and kicks. */
export function scribbleRing(guest: TestFrontEnd, random: Random): void {
  const ring = random.chance(0.5) ? guest.rx : guest.tx;
  const { bytes } = guest.ram;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + ring.index * RING_BYTES, RING_BYTES / 4);
  const act = random.below(4);
  if (act === 0) writeChain(guest, ring, words, random);
  else if (act === 1) Atomics.store(ring.ring.available, 1, random.chance(0.5) ? random.below(300) : random.word());
  else {
    const ringWords = (ring.size * 26 + 32) >>> 2;
    for (let i = random.few(20); i > 0; i--) words[random.below(ringWords)] = wordOf(guest, random);
  }
  ring.kickAnyway();
}

function wordOf(guest: TestFrontEnd, random: Random): number {
  return random.chance(0.4) ? anyAddress(guest, random) : edgeNumber(random);
}

/** Of guest memory, its lower half; at the edge of a region now and then. */
function anyAddress({ ram }: TestFrontEnd, random: Random): number {
  if (random.chance(0.8)) return ram.guestAddress(random.below(ram.bytes.length)) >>> 0;
  const { guestAddress, sizeBytes } = random.pick(ram.regions);
  return (guestAddress + sizeBytes - random.few(2000)) >>> 0;
}

/** A chain that could be right, at the beginning of the ring: of both formats something is. */
function writeChain(guest: TestFrontEnd, ring: TestRing, words: Uint32Array, random: Random): void {
  const length = 1 + random.below(5);
  const wrap = random.pick([0x80, 0x8000, 0x8080, 0]);
  const isPacked = ring.format.name === "packed";
  const addressHigh = Math.floor(guest.ram.guestAddress(0) / 2 ** 32);
  for (let i = 0; i < length; i++) {
    const at = 4 * random.below(Math.min(ring.size, 8));
    const flags = random.pick([0, 1, 1, 2, 3, 4, 5, 7]) | (isPacked ? wrap : 0);
    words[at] = anyAddress(guest, random);
    words[at + 1] = random.chance(0.9) ? addressHigh : edgeNumber(random);
    words[at + 2] = random.pick([12, 60, 100, 1526, 16, 32, 65_562, edgeNumber(random)]);
    words[at + 3] = isPacked ? (flags << 16) | random.below(8) : (random.below(8) << 16) | flags;
  }
  if (isPacked) return;
  const { available } = ring.ring;
  const index = Atomics.load(available, 1);
  for (let i = 0; i < 4; i++)
    available[2 + ((index + i) & (ring.size - 1))] = random.below(random.chance(0.9) ? 8 : 65_536);
  Atomics.store(available, 1, (index + 1 + random.below(4)) & 0xffff);
}
