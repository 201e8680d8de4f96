/**
 * The buffers of one chain that a driver adds to a queue: device-readable ones first, then device-writable ones.
 *
 * Reusable: {@link DescriptorChain.clear}, then append.
 */
export class DescriptorChain {
  readonly capacity: number;
  readonly addressHigh: Uint32Array;
  readonly addressLow: Uint32Array;
  readonly lengthBytes: Uint32Array;
  /** Buffers in all, of which the first {@link DescriptorChain.readableCount} are device-readable. */
  count = 0;
  readableCount = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.addressHigh = new Uint32Array(capacity);
    this.addressLow = new Uint32Array(capacity);
    this.lengthBytes = new Uint32Array(capacity);
  }

  clear(): this {
    this.count = 0;
    this.readableCount = 0;
    return this;
  }

  /**
   * Appends a buffer that the device reads.
   *
   * @param guestAddress below 2^53.
   * @throws RangeError when the chain is full or has writable buffers already.
   */
  readable(guestAddress: number, lengthBytes: number): this {
    if (this.readableCount !== this.count) throw new RangeError("readable buffers come before writable ones");
    this.#append(guestAddress, lengthBytes);
    this.readableCount = this.count;
    return this;
  }

  /** Appends a buffer that the device writes; see {@link DescriptorChain.readable}. */
  writable(guestAddress: number, lengthBytes: number): this {
    this.#append(guestAddress, lengthBytes);
    return this;
  }

  #append(guestAddress: number, lengthBytes: number): void {
    const at = this.count;
    if (at === this.capacity) throw new RangeError(`a chain of more than ${this.capacity} buffers`);
    this.addressHigh[at] = Math.floor(guestAddress / 0x1_0000_0000);
    this.addressLow[at] = guestAddress;
    this.lengthBytes[at] = lengthBytes;
    this.count = at + 1;
  }
}
