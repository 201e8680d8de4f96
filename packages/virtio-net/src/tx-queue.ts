import { Capability } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { Elements } from "@passt-ts/virtio-ring/elements";
import {
  VIRTIO_NET_HEADER_BYTES,
  VirtioNetFields,
  VirtioNetFlag,
  VirtioNetGso,
} from "@passt-ts/wire/virtio-net-header";
import { FRAME_BYTES_MAX, FRAME_BYTES_MIN } from "./frame-limits.ts";
import { NET_COUNTERS, NetCounter } from "./net-counter.ts";

// Trust: the driver of the guest writes every byte here: chains, lengths and virtio-net headers. The queue has checked
// that the entries lie in guest memory. A chain that makes no sense costs us one dropped frame, counted by reason, and
// goes back to the driver; each header byte is read once.

const { needsChecksum } = VirtioNetFlag;
const CAPABILITIES_TSO_USO = Capability.takesTso4 | Capability.takesTso6 | Capability.takesUso;
const CAPABILITIES_OFFLOAD = Capability.takesPartialChecksum | CAPABILITIES_TSO_USO;

/**
 * The device's side of a transmit queue: frames that the driver sent, a batch at a time.
 *
 * A round is `popBatch`, the use of the frames, `complete`. It lives as long as the device; {@link TxQueue.bind} points
 * it at a queue.
 */
export class TxQueue {
  /** Indices: {@link NetCounter}. */
  readonly counters: Float64Array;
  /** Chains taken by the last {@link TxQueue.popBatch}, dropped ones included. */
  popped = 0;

  readonly #elements: Elements;
  readonly #fields = new VirtioNetFields();
  readonly #scratch = new Uint8Array(VIRTIO_NET_HEADER_BYTES);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  #queue: DeviceQueue | null = null;
  #headerLength = VIRTIO_NET_HEADER_BYTES;
  #capabilities = 0;

  /**
   * @param batchCapacity most chains of a round.
   * @param counters {@link NET_COUNTERS} numbers, which an RxQueue may share.
   */
  constructor(batchCapacity = 128, counters: Float64Array = new Float64Array(NET_COUNTERS)) {
    this.counters = counters;
    this.#elements = new Elements(batchCapacity);
  }

  /**
   * Points it at a queue, or at none. Chains that were popped and not completed are forgotten: the old queue must not
   * be used any more.
   *
   * @param headerLength length of the virtio-net header in front of each frame.
   * @param capabilities bits of `Capability`: what the driver may ask for in the header. Without any, what the header
   *   says is ignored.
   */
  bind(queue: DeviceQueue | null, headerLength: 10 | 12, capabilities: number): void {
    this.#queue = queue;
    this.#headerLength = headerLength;
    this.#capabilities = capabilities & CAPABILITIES_OFFLOAD;
    this.#elements.clear();
    this.popped = 0;
  }

  /** Why the queue is broken, a `RingFault`; 0 when it is not, or when there is none. */
  get brokenReason(): number {
    return this.#queue === null ? 0 : this.#queue.brokenReason;
  }

  /**
   * Empties `frames` and fills it with what the driver sent: at most as many frames as it, or a batch, can hold.
   *
   * Each frame keeps its buffers until {@link TxQueue.complete}, which must follow even when the answer is 0, because
   * dropped chains have to go back as well. Returns the number of frames.
   */
  popBatch(frames: FrameBatch): number {
    const queue = this.#queue;
    const elements = this.#elements;
    if (elements.count > 0) throw new Error("popBatch before complete of the batch before");
    frames.clear();
    this.popped = 0;
    if (queue === null) return 0;
    const { pool } = frames;
    while (frames.count < frames.capacity && elements.count < elements.capacity) {
      const element = queue.pop(elements, pool);
      if (element < 0) break;
      const reason = this.#addFrame(frames, element);
      if (reason < 0) continue;
      this.counters[reason]++;
      pool.truncate(elements.firstEntry[element]);
    }
    this.popped = elements.count;
    return frames.count;
  }

  /**
   * Hands every chain of the batch back to the driver, in order, and publishes once. The frames are gone.
   *
   * Returns the number of chains; the owner then asks {@link TxQueue.needsNotification} once.
   */
  complete(): number {
    const queue = this.#queue;
    const elements = this.#elements;
    const { count, head } = elements;
    if (queue === null || count === 0) return 0;
    for (let i = 0; i < count; i++) queue.push(head[i], 0);
    queue.publish();
    elements.clear();
    return count;
  }

  /** Says whether the driver wants to hear of the chains that were completed since this was last asked. */
  needsNotification(): boolean {
    return this.#queue?.needsNotification() ?? false;
  }

  /** See `DeviceQueue.isNotificationUnheard`. */
  isNotificationUnheard(): boolean {
    return this.#queue?.isNotificationUnheard() ?? false;
  }

  /** Adds the frame in an element to the batch: -1, or the counter of the reason why it is dropped. */
  #addFrame(frames: FrameBatch, element: number): number {
    const elements = this.#elements;
    const headerLength = this.#headerLength;
    if (elements.inBytes[element] > 0) return NetCounter.txWritable;
    const lengthBytes = elements.outBytes[element] - headerLength;
    if (lengthBytes < FRAME_BYTES_MIN) return NetCounter.txTooShort;
    if (lengthBytes > FRAME_BYTES_MAX) return NetCounter.txTooLong;
    const index = frames.count;
    frames.firstEntry[index] = elements.firstEntry[element];
    frames.entryCount[index] = elements.outCount[element];
    frames.offset[index] = headerLength;
    frames.length[index] = lengthBytes;
    frames.clearOffload(index);
    if (this.#capabilities !== 0) {
      this.#readHeader(frames, index);
      if (!this.#isValid(lengthBytes)) return NetCounter.txBadHeader;
      this.#copyOffload(frames, index);
    }
    frames.count = index + 1;
    this.counters[NetCounter.txFrames]++;
    this.counters[NetCounter.txBytes] += lengthBytes;
    return -1;
  }

  /** Reads the virtio-net header, which may lie across any number of entries. */
  #readHeader(frames: FrameBatch, index: number): void {
    const headerLength = this.#headerLength;
    const { windows, window, offset, length } = frames.pool;
    let entry = frames.firstEntry[index];
    if (length[entry] >= headerLength) {
      this.#fields.parse(windows.views[window[entry]], offset[entry], headerLength);
      return;
    }
    const scratch = this.#scratch;
    for (let done = 0; done < headerLength; entry++) {
      const bytes = windows.bytes[window[entry]];
      const from = offset[entry];
      for (let i = 0; i < length[entry] && done < headerLength; i++) scratch[done++] = bytes[from + i];
    }
    this.#fields.parse(this.#scratchView, 0, headerLength);
  }

  /** Checks the header that was read against what was negotiated and the frame's length (virtio 1.3, 5.1.6.2). */
  #isValid(lengthBytes: number): boolean {
    const fields = this.#fields;
    const partial = (fields.flags & needsChecksum) !== 0;
    if (partial) {
      if ((this.#capabilities & Capability.takesPartialChecksum) === 0) return false;
      if (fields.checksumStart + fields.checksumOffset + 2 > lengthBytes) return false;
    }
    if (fields.gsoType === VirtioNetGso.none) return true;
    const needed = capabilityOf(fields.gsoType);
    if ((this.#capabilities & needed) === 0) return false;
    return partial && fields.gsoSize > 0 && fields.headerLength <= lengthBytes;
  }

  /** Fields that mean nothing with these flags stay 0. */
  #copyOffload(frames: FrameBatch, index: number): void {
    const fields = this.#fields;
    if ((fields.flags & needsChecksum) === 0) return;
    frames.flags[index] = needsChecksum;
    frames.checksumStart[index] = fields.checksumStart;
    frames.checksumOffset[index] = fields.checksumOffset;
    if (fields.gsoType === VirtioNetGso.none) return;
    frames.gsoType[index] = fields.gsoType;
    frames.gsoSize[index] = fields.gsoSize;
    frames.headerLength[index] = fields.headerLength;
  }
}

/** The capability without which a frame of this gso_type must not come; 0 for types that are never offered. */
function capabilityOf(gsoType: number): number {
  switch (gsoType) {
    case VirtioNetGso.tcpv4:
      return Capability.takesTso4;
    case VirtioNetGso.tcpv6:
      return Capability.takesTso6;
    case VirtioNetGso.udpL4:
      return Capability.takesUso;
    default:
      return 0;
  }
}
