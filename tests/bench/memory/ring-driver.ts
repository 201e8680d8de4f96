// The driver side of a network card, from memory to memory: two rings over a memory file, one buffer for each frame, no copy and no
// object for a frame. It polls, so that it never is what a measurement waits for.

import { createEventFd, EventSignal } from "@passt-ts/linux/eventfd";
import { mapFile } from "@passt-ts/linux/mapped-memory";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { connectUnix } from "@passt-ts/linux/unix-socket";
import { ControlSocket, sleepPump } from "@passt-ts/vhost-user-device/testing/control-socket";
import { featureBit, hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { FrontEndSession } from "@passt-ts/vhost-user-proto/front-end-session";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import { SplitDriverQueue } from "@passt-ts/virtio-ring/split-driver-queue";
import { availableRingBytes, descriptorTableBytes, splitRing, usedRingBytes } from "@passt-ts/virtio-ring/split-ring";

/** Bytes of the virtio-net header with VERSION_1. */
export const netHeaderBytes = 12;

/** Room for the longest frame behind its virtio-net header. */
const slotBytes = 65_664;
const ringBytes = 65_536;
const guestBase = 0x4000_0000;
const userBase = 0x7f12_3400_0000;

/** What is never acknowledged: it would take a log. */
const withoutLog = ~featureBit(VirtioFeature.VHOST_LOG_ALL);

/** One ring, its slots, and which slot each chain in it holds. */
class SlotRing {
  readonly queue: SplitDriverQueue;
  readonly kick = createEventFd();
  readonly call = createEventFd();
  /** Slots that no chain holds, newest last. */
  readonly #free: Uint16Array;
  #freeCount: number;
  readonly #slotOfHead: Uint16Array;
  readonly #chain = new DescriptorChain(1);
  readonly #signal = new EventSignal();
  readonly #slotsAt: number;

  constructor(memory: Uint8Array, at: number, slotsAt: number, size: number, eventIndex: boolean) {
    const available = at + descriptorTableBytes(size);
    const used = (available + availableRingBytes(size) + 3) & ~3;
    const ring = splitRing(
      size,
      memory.subarray(at, available),
      memory.subarray(available, used),
      memory.subarray(used, used + usedRingBytes(size)),
    );
    this.queue = new SplitDriverQueue({ ring, eventIndex, indirectTables: null, startIndex: 0 });
    this.queue.suppressNotifications();
    this.#slotsAt = slotsAt;
    this.#free = Uint16Array.from({ length: size }, (_, slot) => slot);
    this.#freeCount = size;
    this.#slotOfHead = new Uint16Array(size);
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  /** The offset of the slot that the next {@link SlotRing.add} gives away. */
  get nextAt(): number {
    return this.#slotsAt + slotBytes * this.#free[this.#freeCount - 1];
  }

  /** Gives the device the next slot, unpublished: to be read, or to be written. */
  add(lengthBytes: number, isWritable: boolean): void {
    const slot = this.#free[--this.#freeCount];
    const chain = this.#chain.clear();
    const address = guestBase + this.#slotsAt + slotBytes * slot;
    if (isWritable) chain.writable(address, lengthBytes);
    else chain.readable(address, lengthBytes);
    const head = this.queue.add(chain);
    if (head < 0) throw new Error("more slots than descriptors");
    this.#slotOfHead[head] = slot;
  }

  /** Takes back what the device used first: the offset of its slot, which is free again; -1 when there is none. */
  reap(): number {
    const head = this.queue.reap();
    if (head < 0) {
      if (this.queue.brokenReason !== 0) throw new Error(`the device broke a ring: ${this.queue.brokenReason}`);
      return -1;
    }
    const slot = this.#slotOfHead[head];
    this.#free[this.#freeCount++] = slot;
    return this.#slotsAt + slotBytes * slot;
  }

  /** Shows the device what was added, and kicks if it sleeps. */
  publish(): void {
    this.queue.publish();
    if (this.queue.needsKick()) this.wake();
  }

  wake(): void {
    this.#signal.notify(this.kick.fd);
  }

  close(): void {
    this.kick.close();
    this.call.close();
  }
}

/** A card with its driver, in this thread. */
export class RingDriver implements Disposable {
  /** The memory that both sides see; frames lie in it. */
  readonly memory: Uint8Array;
  readonly view: DataView;
  readonly features: bigint;
  readonly #file;
  readonly #mapping;
  readonly #control: ControlSocket;
  readonly #rx: SlotRing;
  readonly #tx: SlotRing;
  /** Frames that the device has taken from us, and given to us. */
  sent = 0;
  received = 0;

  /**
   * Connects to the socket of a back-end and starts both rings.
   *
   * @param size descriptors of each ring. @param without features that are not acknowledged.
   */
  constructor(path: string, size: number, without: bigint) {
    const sizeBytes = 2 * (ringBytes + size * slotBytes);
    this.#file = createMemoryFile("ring-driver", sizeBytes);
    this.#mapping = mapFile({ fd: this.#file.fd, offset: 0, lengthBytes: sizeBytes });
    this.memory = this.#mapping.bytes(0, sizeBytes);
    this.memory.fill(0);
    this.view = new DataView(this.memory.buffer, this.memory.byteOffset, sizeBytes);
    this.#control = new ControlSocket(connectUnix(path), sleepPump);
    const session = new FrontEndSession(this.#control);
    session.negotiate({ features: withoutLog & ~without });
    this.features = session.features;
    const [guestAddress, userAddress] = [BigInt(guestBase), BigInt(userBase)];
    const region = { guestAddress, sizeBytes: BigInt(sizeBytes), userAddress, mmapOffset: 0n };
    session.setMemory([region], [this.#file.fd]);
    const eventIndex = hasFeature(session.features, VirtioFeature.EVENT_IDX);
    const slotsAt = 2 * ringBytes;
    this.#rx = new SlotRing(this.memory, 0, slotsAt, size, eventIndex);
    this.#tx = new SlotRing(this.memory, ringBytes, slotsAt + size * slotBytes, size, eventIndex);
    for (const [index, ring] of [this.#rx, this.#tx].entries()) {
      const at = index * ringBytes;
      const available = at + descriptorTableBytes(size);
      const address = {
        index,
        flags: 0,
        descriptors: BigInt(userBase + at),
        available: BigInt(userBase + available),
        used: BigInt(userBase + ((available + availableRingBytes(size) + 3) & ~3)),
        logAddress: 0n,
      };
      session.startRing({ size, base: 0, address, callFd: ring.call.fd, errorFd: -1, kickFd: ring.kick.fd });
    }
    session.settle();
    while (this.#rx.freeCount > 0) this.#rx.add(slotBytes, true);
    this.#rx.publish();
  }

  /** Frames that can be sent before the device takes some. */
  get room(): number {
    return this.#tx.freeCount;
  }

  /** Where the next frame to send is to be written, its virtio-net header first. */
  get nextAt(): number {
    return this.#tx.nextAt;
  }

  /** Sends what was written at {@link RingDriver.nextAt}: `lengthBytes` bytes, the header's included, unpublished. */
  send(lengthBytes: number): void {
    this.#tx.add(lengthBytes, false);
  }

  /** Shows the device what was sent, and takes back what it used. */
  flush(): void {
    this.#tx.publish();
    while (this.#tx.reap() >= 0) this.sent++;
  }

  /**
   * Takes the next frame that arrived: the offset of its virtio-net header, or -1. It is to be looked at before the next
   * call of {@link RingDriver.refill}.
   */
  receive(): number {
    const at = this.#rx.reap();
    if (at >= 0) this.received++;
    return at;
  }

  /** Gives the device the slots of the frames that were received. */
  refill(): void {
    if (this.#rx.freeCount === 0) return;
    while (this.#rx.freeCount > 0) this.#rx.add(slotBytes, true);
    this.#rx.publish();
  }

  /** Wakes the device though there is nothing to do. */
  wake(): void {
    this.#tx.wake();
  }

  [Symbol.dispose](): void {
    this.#control.close();
    this.#rx.close();
    this.#tx.close();
    this.#mapping.close();
    this.#file.close();
  }
}
