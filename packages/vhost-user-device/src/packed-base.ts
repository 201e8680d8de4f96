import { isPackedPosition, PACKED_RING_START } from "@passt-ts/virtio-ring/packed-ring";

/**
 * The base of a packed ring of `size` descriptors for a device that holds no chain, when its front-end says `base`.
 *
 * The halves differ after a back-end that held chains: those between its used position, in the upper half, and its
 * available position, in the lower one. They are taken again, and the answer has the used position in both halves. A
 * base whose halves cannot belong together, as of a front-end that knows 16 bits only, is answered as it is.
 */
export function packedBase(base: number, size: number): number {
  const used = base >>> 16;
  const available = base & 0xffff;
  if (!isPackedPosition(used, size) || !isPackedPosition(available, size)) return base;
  // The beginning of a new ring in 16 bits.
  if (used === 0 && available === PACKED_RING_START) return base;
  const lap = used >>> 15 === available >>> 15 ? 0 : size;
  const held = lap + (available & 0x7fff) - (used & 0x7fff);
  return held >= 0 && held <= size ? ((used << 16) | used) >>> 0 : base;
}
