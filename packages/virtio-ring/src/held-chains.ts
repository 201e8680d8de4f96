/**
 * What a device's queue remembers of the chains that it has popped and not yet published: how many descriptors of the
 * ring each one takes, and whether the driver reads a length for it. Kept where the driver cannot write.
 */
export class HeldChains {
  /** Descriptors of the ring that all of them take, those included that were pushed and not published. */
  descriptors = 0;
  /** Chains that were not pushed yet. */
  count = 0;
  /** Of the chain that was taken last: it has buffers that the device writes. */
  writable = false;
  readonly #lengths: Uint16Array;
  readonly #writable: Uint8Array;
  #oldest = 0;
  #pushedDescriptors = 0;

  /** @param capacity most chains: the size of the queue. */
  constructor(capacity: number) {
    this.#lengths = new Uint16Array(capacity);
    this.#writable = new Uint8Array(capacity);
  }

  /** Adds the newest chain. */
  add(descriptors: number, writable: boolean): void {
    const at = this.#slot(this.count);
    this.#lengths[at] = descriptors;
    this.#writable[at] = writable ? 1 : 0;
    this.count++;
    this.descriptors += descriptors;
  }

  /** Forgets the newest chain, which must not be pushed. Returns its descriptors. */
  dropNewest(): number {
    this.count--;
    const descriptors = this.#lengths[this.#slot(this.count)];
    this.descriptors -= descriptors;
    return descriptors;
  }

  /**
   * Takes the oldest chain, which is pushed. Returns its descriptors.
   *
   * @throws RangeError when there is none: an error of the caller.
   */
  takeOldest(): number {
    if (this.count === 0) throw new RangeError("no chain is left to be pushed");
    const at = this.#oldest;
    this.writable = this.#writable[at] !== 0;
    this.#oldest = this.#slot(1);
    this.count--;
    this.#pushedDescriptors += this.#lengths[at];
    return this.#lengths[at];
  }

  /** The pushed chains are published: the driver may use their descriptors again. Returns how many these are. */
  release(): number {
    const released = this.#pushedDescriptors;
    this.descriptors -= released;
    this.#pushedDescriptors = 0;
    return released;
  }

  /** The slot that is `distance`, at most the capacity, behind the oldest one. */
  #slot(distance: number): number {
    const at = this.#oldest + distance;
    return at < this.#lengths.length ? at : at - this.#lengths.length;
  }
}
