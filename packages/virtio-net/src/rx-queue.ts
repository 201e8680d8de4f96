import { Iov } from "@passt-ts/iov/iov";
import { memset } from "@passt-ts/iov/memset";
import type { WindowTable } from "@passt-ts/iov/windows";
import { Capability } from "@passt-ts/net-backend/backend";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import { type DeviceQueue, PopResult } from "@passt-ts/virtio-ring/device-queue";
import { Elements } from "@passt-ts/virtio-ring/elements";
import { VIRTIO_NET_HEADER_BYTES } from "@passt-ts/wire/virtio-net-header";
import { FRAME_BYTES_MAX, FRAME_BYTES_PADDED } from "./frame-limits.ts";
import { NET_COUNTERS, NetCounter } from "./net-counter.ts";
import { NetFault } from "./net-fault.ts";
import { RxHeader } from "./rx-header.ts";

// Trust: the driver of the guest chooses number, size and order of the buffers; the queue has checked that they lie in
// guest memory. What it may cost us: frames that find no room, or a queue that is broken until it is replaced. Nothing
// is read back from a buffer.

/** Sizes of an {@link RxQueue}; each bounds what reserved frames may use together. */
export interface RxQueueOptions {
  /** Frames reserved at once. Default 256. */
  readonly frameCapacity?: number;
  /** The largest queue it will be bound to, in descriptors. Default 32768, the largest there is. */
  readonly queueSizeMax?: number;
  /** More entries for buffers that lie across window edges or in indirect tables. Default 1024. */
  readonly extraEntries?: number;
  /** {@link NET_COUNTERS} numbers, which a TxQueue may share. */
  readonly counters?: Float64Array;
}

/**
 * The device's side of a receive queue: an {@link RxSink} whose frames lie in the driver's own buffers.
 *
 * It lives as long as the device; {@link RxQueue.bind} points it at a queue when the ring starts and at none when it
 * stops. Buffers go back to the driver in ring order. Once in a turn the owner calls {@link RxQueue.publish} and then
 * {@link RxQueue.needsNotification}.
 */
export class RxQueue implements RxSink {
  readonly frames: FrameBatch;
  /** Indices: {@link NetCounter}. */
  readonly counters: Float64Array;
  partialChecksum = false;
  segmentationBytesMax4 = 0;
  segmentationBytesMax6 = 0;
  udpSegmentationBytesMax4 = 0;
  udpSegmentationBytesMax6 = 0;

  readonly #queueSizeMax: number;
  readonly #elements: Elements;
  readonly #iov: Iov;
  /** Of each reserved frame: what was reserved, its first element, and how many. */
  readonly #reservedBytes: Int32Array;
  readonly #firstElement: Int32Array;
  readonly #elementCount: Int32Array;
  readonly #header = new RxHeader();
  #queue: DeviceQueue | null = null;
  #headerLength = VIRTIO_NET_HEADER_BYTES;
  #mergeable = false;
  #fault = 0;
  /** The oldest reserved frame; those before it are committed. */
  #oldest = 0;
  #unpublished = 0;
  #isUrgent = false;
  #wanted = false;
  /** What the last frame that found no room needed. */
  #refusedBytes = 0;

  /** @param windows the table that the guest's memory is in. */
  constructor(windows: WindowTable, options: RxQueueOptions = {}) {
    const frameCapacity = options.frameCapacity ?? 256;
    this.#queueSizeMax = options.queueSizeMax ?? 32768;
    this.frames = new FrameBatch(windows, frameCapacity, this.#queueSizeMax + (options.extraEntries ?? 1024));
    this.counters = options.counters ?? new Float64Array(NET_COUNTERS);
    this.#elements = new Elements(this.#queueSizeMax);
    this.#iov = new Iov(this.frames.pool);
    this.#reservedBytes = new Int32Array(frameCapacity);
    this.#firstElement = new Int32Array(frameCapacity);
    this.#elementCount = new Int32Array(frameCapacity);
  }

  /**
   * Points it at a queue, or at none. The old queue gets back what was reserved and publishes what was committed, so
   * its memory must still be mapped; it is then at a correct point to restart from.
   *
   * @param headerLength length of the virtio-net header in front of each frame.
   * @param mergeable VIRTIO_NET_F_MRG_RXBUF was negotiated: a frame may cover several buffers.
   * @param capabilities bits of `Capability`: what the driver takes (`gives...` of the back-end).
   * @throws RangeError for a queue larger than this was made for.
   */
  bind(queue: DeviceQueue | null, headerLength: 10 | 12, mergeable: boolean, capabilities: number): void {
    if (queue !== null && queue.size > this.#queueSizeMax) {
      throw new RangeError(`a queue of ${queue.size} descriptors, where at most ${this.#queueSizeMax} were expected`);
    }
    if (this.#oldest < this.frames.count) this.giveBack(this.#oldest);
    this.publish();
    this.#queue = queue;
    this.#headerLength = headerLength;
    this.#mergeable = mergeable;
    this.#fault = 0;
    this.#refusedBytes = 0;
    this.partialChecksum = (capabilities & Capability.givesPartialChecksum) !== 0;
    this.segmentationBytesMax4 = (capabilities & Capability.givesTso4) !== 0 ? FRAME_BYTES_MAX : 0;
    this.segmentationBytesMax6 = (capabilities & Capability.givesTso6) !== 0 ? FRAME_BYTES_MAX : 0;
    this.udpSegmentationBytesMax4 = (capabilities & Capability.givesUso) !== 0 ? FRAME_BYTES_MAX : 0;
    this.udpSegmentationBytesMax6 = this.udpSegmentationBytesMax4;
    this.wantRoom(this.#wanted);
  }

  get ready(): boolean {
    return this.#queue !== null && this.brokenReason === 0;
  }

  /** Why the queue is broken, a `RingFault` or `NetFault`; 0 when it is not, or when there is none. */
  get brokenReason(): number {
    return this.#queue === null ? 0 : this.#fault || this.#queue.brokenReason;
  }

  reserve(lengthBytes: number): number {
    const queue = this.#queue;
    const { frames } = this;
    const { pool } = frames;
    if (queue === null || this.brokenReason !== 0) return this.#refuse(Refused.notReady);
    if (frames.count === frames.capacity) return this.#refuse(Refused.noRoom);
    const elements = this.#elements;
    const mark = elements.count;
    const firstEntry = pool.count;
    const needed = Math.max(lengthBytes, FRAME_BYTES_PADDED) + this.#headerLength;
    let bytes = 0;
    while (bytes < needed) {
      const element = queue.pop(elements, pool);
      if (element < 0) return this.#undoReserve(element, mark, needed);
      if (elements.outBytes[element] > 0 || elements.inBytes[element] === 0) {
        this.#fault = elements.outBytes[element] > 0 ? NetFault.receiveBufferReadable : NetFault.receiveBufferEmpty;
        return this.#undoReserve(PopResult.broken, mark, needed);
      }
      bytes += elements.inBytes[element];
      if (bytes < needed && !this.#mergeable) {
        queue.unpop(elements, 1);
        return this.#refuse(Refused.tooLong);
      }
    }
    const index = frames.count;
    this.#reservedBytes[index] = lengthBytes;
    this.#firstElement[index] = mark;
    this.#elementCount[index] = elements.count - mark;
    frames.firstEntry[index] = firstEntry;
    frames.entryCount[index] = pool.count - firstEntry;
    frames.offset[index] = this.#headerLength;
    frames.length[index] = lengthBytes;
    frames.clearOffload(index);
    frames.canWait[index] = 0;
    frames.count = index + 1;
    return index;
  }

  commit(index: number, lengthBytes: number): void {
    const { frames } = this;
    if (index !== this.#oldest || index >= frames.count) throw new Error(`frame ${index} is not the oldest reserved`);
    if (lengthBytes > this.#reservedBytes[index]) {
      throw new RangeError(`${lengthBytes} bytes committed, ${this.#reservedBytes[index]} reserved`);
    }
    const paddedBytes = Math.max(lengthBytes, FRAME_BYTES_PADDED);
    if (lengthBytes < this.#reservedBytes[index]) this.#giveSurplusBack(index, paddedBytes + this.#headerLength);
    if (lengthBytes < paddedBytes) {
      const iov = frames.select(index, this.#iov);
      memset(iov, this.#headerLength + lengthBytes, 0, paddedBytes - lengthBytes);
    }
    this.#header.write(frames, index, this.#headerLength, this.#elementCount[index]);
    this.#push(index, paddedBytes + this.#headerLength);
    if (frames.canWait[index] === 0) this.#isUrgent = true;
    this.counters[NetCounter.rxFrames]++;
    this.counters[NetCounter.rxBytes] += paddedBytes;
    this.#oldest++;
    if (this.#oldest === frames.count) this.#restart();
  }

  giveBack(index: number): void {
    const { frames } = this;
    const elements = this.#elements;
    if (index < this.#oldest || index >= frames.count) throw new Error(`frame ${index} is not reserved`);
    this.#queue?.unpop(elements, elements.count - this.#firstElement[index]);
    frames.count = index;
    if (this.#oldest === index) this.#restart();
  }

  /** Shows the driver the frames committed since the last call, all at once; false when there are none. */
  publish(): boolean {
    if (this.#unpublished === 0) return false;
    this.#unpublished = 0;
    this.#queue?.publish();
    return true;
  }

  /** Since {@link RxQueue.needsNotification} was last asked a frame that cannot wait (`FrameBatch.canWait`) came, or found no room. */
  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** Says whether the driver wants to hear of the frames that were published since this was last asked. */
  needsNotification(): boolean {
    this.#isUrgent = false;
    return this.#queue?.needsNotification() ?? false;
  }

  /** See `DeviceQueue.isNotificationUnheard`. */
  isNotificationUnheard(): boolean {
    return this.#queue?.isNotificationUnheard() ?? false;
  }

  wantRoom(wanted: boolean): boolean {
    this.#wanted = wanted;
    const queue = this.#queue;
    if (queue === null || this.brokenReason !== 0) return false;
    if (!wanted) {
      queue.suppressKicks();
      return false;
    }
    // A few buffers may be left, too small for the frame that waits. They are no news and no reason for the engine to
    // try again, and the kick must come for what follows them: so it is asked for with all of them taken.
    const elements = this.#elements;
    const { pool } = this.frames;
    const mark = elements.count;
    let bytes = 0;
    let element = queue.pop(elements, pool);
    for (; element >= 0; element = queue.pop(elements, pool)) bytes += elements.inBytes[element];
    // What is left behind a full pool is not new either.
    const more = queue.allowKicks() && element !== PopResult.poolFull;
    if (elements.count > mark) queue.unpop(elements, elements.count - mark);
    return queue.brokenReason === 0 && (more || bytes >= Math.max(this.#refusedBytes, 1));
  }

  #refuse(reason: number): number {
    if (reason === Refused.noRoom) {
      this.counters[NetCounter.rxNoRoom]++;
      // The driver gives no buffers before it hears of those that it has back.
      this.#isUrgent = true;
    } else if (reason === Refused.tooLong) this.counters[NetCounter.rxTooLong]++;
    else this.counters[NetCounter.rxNotReady]++;
    return reason;
  }

  /** Takes back the pops of a reservation that came to nothing. */
  #undoReserve(result: number, mark: number, neededBytes: number): number {
    const elements = this.#elements;
    const queue = this.#queue as DeviceQueue;
    const count = elements.count - mark;
    // With all descriptors, or all entries, taken for this one frame waiting would be for ever.
    const allDescriptors = this.#unpublished === 0 && queue.heldDescriptors >= queue.size;
    const hopeless = mark === 0 && (result === PopResult.poolFull || (result === PopResult.empty && allDescriptors));
    if (count > 0) queue.unpop(elements, count);
    if (result === PopResult.broken) return this.#refuse(Refused.notReady);
    this.#refusedBytes = neededBytes;
    return this.#refuse(hopeless ? Refused.tooLong : Refused.noRoom);
  }

  /** Un-pops the elements of frame `index` behind its first `usedBytes` bytes. */
  #giveSurplusBack(index: number, usedBytes: number): void {
    const elements = this.#elements;
    const first = this.#firstElement[index];
    let count = 0;
    for (let bytes = 0; bytes < usedBytes; count++) bytes += elements.inBytes[first + count];
    const surplus = this.#elementCount[index] - count;
    if (surplus === 0) return;
    if (index !== this.frames.count - 1) throw new Error(`frame ${index} is shortened and not the newest reserved`);
    this.#queue?.unpop(elements, surplus);
    this.#elementCount[index] = count;
    this.frames.entryCount[index] = this.frames.pool.count - this.frames.firstEntry[index];
  }

  /** Hands the buffers of frame `index` to the ring: all are full but the last one (virtio 1.3, 5.1.6.4). */
  #push(index: number, usedBytes: number): void {
    const queue = this.#queue;
    if (queue === null) return;
    const { head, inBytes } = this.#elements;
    const end = this.#firstElement[index] + this.#elementCount[index];
    for (let element = this.#firstElement[index]; element < end; element++) {
      const written = Math.min(inBytes[element], usedBytes);
      queue.push(head[element], written);
      usedBytes -= written;
    }
    this.#unpublished += this.#elementCount[index];
  }

  #restart(): void {
    this.frames.clear();
    this.#elements.clear();
    this.#oldest = 0;
  }
}
