// What a driver that has lost its mind does to a ring.

import type { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import type { TestRing } from "@passt-ts/vhost-user-device/testing/test-ring";
import { vringAddressRequest } from "@passt-ts/vhost-user-proto/front-end";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import type { Random } from "../../fuzz/random.ts";

/** Behind all guest memory. */
const NOWHERE = 2 ** 50;

type Damage = (guest: TestFrontEnd, ring: TestRing, random: Random) => void;

function addChain({ queue }: TestRing, chain: DescriptorChain): void {
  queue.add(chain);
  queue.publish();
}

const damages: Readonly<Record<string, Damage>> = {
  "a buffer that is nowhere": (_, ring) => {
    const chain = new DescriptorChain(1);
    addChain(ring, ring.index === 0 ? chain.writable(NOWHERE, 2000) : chain.readable(NOWHERE, 100));
  },
  "a buffer that ends nowhere": ({ ram }, ring) => {
    const last = ram.regions.reduce((one, other) => (one.guestAddress > other.guestAddress ? one : other));
    const address = last.guestAddress + last.sizeBytes - 50;
    const chain = new DescriptorChain(1);
    addChain(ring, ring.index === 0 ? chain.writable(address, 2000) : chain.readable(address, 100));
  },
  "a buffer of the other direction": ({ ram }, ring) => {
    const [chain, address] = [new DescriptorChain(1), ram.guestAddress(0)];
    addChain(ring, ring.index === 0 ? chain.readable(address, 100) : chain.writable(address, 100));
  },
  "another available index, or flags": ({ ram }, ring, random) => {
    if (ring.format.name === "split") Atomics.store(ring.ring.available, 1, random.below(65_536));
    else {
      const { descriptors } = ring.ring;
      const at = new Uint32Array(ram.bytes.buffer, descriptors.byteOffset, descriptors.length);
      for (let i = 0; i < ring.size; i++) at[4 * i + 3] ^= 0x80 << 16;
    }
  },
  "words all over it": ({ ram }, ring, random) => {
    const { descriptors } = ring.ring;
    const bytes = ring.size * 26 + 32;
    const words = new Uint32Array(ram.bytes.buffer, descriptors.byteOffset, bytes >>> 2);
    for (let i = 1 + random.below(100); i > 0; i--) words[random.below(words.length)] = random.word();
  },
  "another address": (guest, ring, random) => {
    const by = BigInt(16 * (1 + random.below(4000)));
    const { address } = ring;
    const moved = { ...address, descriptors: address.descriptors + by, used: address.used + by };
    // Refused, or not: then what lies there is no ring.
    guest.control.acknowledged(vringAddressRequest(moved, true));
  },
};

/** Damages a ring, and kicks. Returns what was done. */
export function damage(guest: TestFrontEnd, ring: TestRing, random: Random): string {
  const name = random.pick(Object.keys(damages));
  damages[name](guest, ring, random);
  ring.kickAnyway();
  return name;
}
