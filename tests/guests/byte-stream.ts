// The bytes that cross between guest and host: 64 KiB blocks of fixed noise, each stamped with the seed of its stream and its own
// number, so that a lost, doubled or exchanged block changes the hash. traffic.c makes the same bytes inside guests.

import { createHash } from "node:crypto";

const blockBytes = 65536;

function noise(): Uint8Array {
  const words = new Uint32Array(blockBytes / 4);
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer);
}

/** The blocks of stream `seed`, `lengthBytes` in all; each block is the caller's to keep. */
export function* streamBlocks(seed: number, lengthBytes: number): Generator<Uint8Array> {
  const base = noise();
  for (let number = 0, left = lengthBytes; left > 0; number++, left -= blockBytes) {
    const block = base.slice(0, Math.min(left, blockBytes));
    const stamped = new DataView(new ArrayBuffer(8));
    stamped.setUint32(0, seed, true);
    stamped.setUint32(4, number, true);
    block.set(new Uint8Array(stamped.buffer, 0, Math.min(8, block.length)));
    yield block;
  }
}

/** SHA-256 of stream `seed`, in hexadecimal. */
export function streamHash(seed: number, lengthBytes: number): string {
  const hash = createHash("sha256");
  for (const block of streamBlocks(seed, lengthBytes)) hash.update(block);
  return hash.digest("hex");
}
