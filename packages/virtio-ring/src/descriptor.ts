/** Bits of a descriptor's flags (virtio 1.3, 2.7.5 and 2.8.13); the last two only in packed rings. */
export const DescriptorFlag = { next: 1, write: 2, indirect: 4, available: 0x80, used: 0x8000 } as const;

/** Bytes of one descriptor, in rings of both formats and in indirect tables. */
export const DESCRIPTOR_BYTES = 16;

/** The largest queue (virtio 1.3, 2.7 and 2.8). */
export const QUEUE_SIZE_MAX = 32768;

/**
 * Writes one descriptor, plainly: whoever makes it available stores an index or its flags afterwards.
 *
 * @param words four for each descriptor.
 * @param lastWord flags and next (split) or id and flags (packed), the former in the lower half.
 */
export function writeDescriptor(
  words: Uint32Array,
  index: number,
  addressHigh: number,
  addressLow: number,
  lengthBytes: number,
  lastWord: number,
): void {
  const word = index * 4;
  words[word] = addressLow;
  words[word + 1] = addressHigh;
  words[word + 2] = lengthBytes;
  words[word + 3] = lastWord;
}
