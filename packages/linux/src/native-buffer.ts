import { ptr } from "bun:ffi";

/**
 * A zeroed block of memory that the kernel may be given the address of, freed with the object.
 *
 * The views are made over an ArrayBuffer that was made first: the bytes of a small typed array made by itself move
 * when its `buffer` is asked for. Whoever uses {@link NativeBuffer.address} keeps the object referenced.
 */
export class NativeBuffer {
  readonly lengthBytes: number;
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The first `lengthBytes` rounded down to whole words. */
  readonly words: Uint32Array;
  readonly address: number;

  constructor(lengthBytes: number) {
    this.lengthBytes = lengthBytes;
    this.buffer = new ArrayBuffer((lengthBytes + 7) & ~7);
    this.bytes = new Uint8Array(this.buffer, 0, lengthBytes);
    this.view = new DataView(this.buffer, 0, lengthBytes);
    this.words = new Uint32Array(this.buffer, 0, lengthBytes >>> 2);
    this.address = ptr(this.buffer);
  }

  /** Stores a 64-bit value below 2^53 (an address, a length) at word `word` and the one behind it. */
  setLong(word: number, value: number): void {
    this.words[word] = value;
    this.words[word + 1] = value / 0x1_0000_0000;
  }
}

/** `text` with its terminating NUL, as the kernel wants paths. @throws TypeError when it contains a NUL. */
export function nativeString(text: string): NativeBuffer {
  if (text.includes("\0")) throw new TypeError("a NUL inside a string for the kernel");
  const encoded = new TextEncoder().encode(text);
  const native = new NativeBuffer(encoded.length + 1);
  native.bytes.set(encoded);
  return native;
}
