import type { IovPool } from "@passt-ts/iov/iov";
import type { Elements } from "./elements.ts";

/** What {@link DeviceQueue.pop} answers when it popped nothing. */
export const PopResult = {
  /** The driver has made nothing more available. */
  empty: -1,
  /** The next chain does not fit what is left of the pool or of the elements. It stays available. */
  poolFull: -2,
  /** The queue is broken; see {@link DeviceQueue.brokenReason}. */
  broken: -3,
} as const;

/**
 * The device's side of a virtqueue, whatever its format.
 *
 * One thread uses it. Chains are popped in the order in which the driver made them available, and pushed in the order
 * in which they were popped. No method throws because of what a driver wrote.
 */
export interface DeviceQueue {
  /** Descriptors in the ring. */
  readonly size: number;

  /** A number of {@link RingFault}. A broken queue pops nothing until it is replaced. */
  readonly brokenReason: number;

  /**
   * Where the next chain will be taken from: the base that a vhost-user front-end asks for when it stops the ring. An
   * index of 16 bits (split), or two positions in the ring, also where the next used descriptor goes (packed).
   */
  readonly nextAvailable: number;

  /**
   * Descriptors of the ring in chains that were popped and not yet published. When they are all (`size`), the driver
   * can make nothing more available.
   */
  readonly heldDescriptors: number;

  /** At least how many chains are available and not popped; 0 only when there was none. */
  pending(): number;

  /**
   * Pops the next chain: appends what its buffers map to to `pool` and describes it in a new element of `elements`.
   *
   * Answers the element's index, or a number of {@link PopResult} with pool and elements as they were. A chain that
   * does not fit an empty pool breaks the queue, so a caller empties its pool between rounds.
   */
  pop(elements: Elements, pool: IovPool): number;

  /**
   * Takes back the newest `count` pops, none of them pushed: the last elements and their entries go, and the same
   * chains will be popped again.
   *
   * @throws RangeError when there are not as many: an error of the caller.
   */
  unpop(elements: Elements, count: number): void;

  /**
   * Hands the oldest chain that was popped and not pushed back to the driver, unpublished. With VIRTIO_F_IN_ORDER a chain
   * without device-writable buffers costs no used entry of its own when another one follows before the publishing.
   *
   * @param head the element's `head`.
   * @param writtenBytes bytes written to its device-writable buffers, from their beginning on.
   * @throws RangeError when there is no such chain: an error of the caller.
   */
  push(head: number, writtenBytes: number): void;

  /** Shows the driver all chains pushed so far, at once. */
  publish(): void;

  /** Says whether the driver wants a notification for what was published since this was last asked. */
  needsNotification(): boolean;

  /**
   * Says whether the driver has shown nothing since {@link DeviceQueue.needsNotification} was last true: with event indexes a
   * driver that heard of it says, once it is done, where it waits next, or that it does not (virtio 1.3, 2.7.10 and 2.8.10).
   * Never without them. In a split ring chains made available since are a sign as well, though not of hearing.
   */
  isNotificationUnheard(): boolean;

  /** Asks the driver for no kicks for now; it may send some all the same. */
  suppressKicks(): void;

  /**
   * Asks the driver for a kick when it makes the next chain available. Returns true when chains are pending already:
   * for those no kick will come.
   */
  allowKicks(): boolean;
}
