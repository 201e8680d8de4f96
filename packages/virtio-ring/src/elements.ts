import type { IovPool } from "@passt-ts/iov/iov";

/**
 * Descriptor chains popped from a queue, in parallel arrays, oldest first.
 *
 * Element `i` maps to the entries `firstEntry[i]` to `firstEntry[i] + outCount[i] + inCount[i] - 1` of
 * {@link Elements.pool}: the device-readable ones ("out" of the driver) come first, then the device-writable ones.
 * The byte columns say what the entries hold together; they are exact up to 2^32. The entry of an empty buffer, which
 * has no direction, counts as readable when it lies before the first writable byte: only the bytes tell what a chain is.
 */
export class Elements {
  readonly capacity: number;
  /** What {@link DeviceQueue.push} wants back: the head of the chain, or its buffer id. */
  readonly head: Uint16Array;
  readonly firstEntry: Int32Array;
  readonly outCount: Int32Array;
  readonly inCount: Int32Array;
  readonly outBytes: Float64Array;
  readonly inBytes: Float64Array;
  /** Elements in use. */
  count = 0;
  /** The pool that the last pop appended to. */
  pool: IovPool | null = null;

  /** @param capacity as many as the largest queue has descriptors always suffice. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.head = new Uint16Array(capacity);
    this.firstEntry = new Int32Array(capacity);
    this.outCount = new Int32Array(capacity);
    this.inCount = new Int32Array(capacity);
    this.outBytes = new Float64Array(capacity);
    this.inBytes = new Float64Array(capacity);
  }

  /** Forgets the elements, which have been pushed; the entries in the pool stay as they are. */
  clear(): void {
    this.count = 0;
  }
}
