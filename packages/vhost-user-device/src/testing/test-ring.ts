import { readSync } from "node:fs";
import { createEventFd, createPipe, EventSignal } from "@passt-ts/linux/eventfd";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import type { VringAddress } from "@passt-ts/vhost-user-proto/payload";
import { DESCRIPTOR_BYTES } from "@passt-ts/virtio-ring/descriptor";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import type { DriverQueue, IndirectTables } from "@passt-ts/virtio-ring/driver-queue";
import { packedFormat, type RingFormat, type RingParts, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import {
  availableRingBytes,
  descriptorTableBytes,
  type SplitRing,
  splitRing,
  usedRingBytes,
} from "@passt-ts/virtio-ring/split-ring";
import { makeDriverQueue } from "@passt-ts/virtio-ring/testing/queues";
import { type GuestRam, POISON } from "./guest-ram.ts";

/** What a {@link TestRing} is made of. */
export interface TestRingOptions {
  readonly index: number;
  /** Where it begins in the memory file. */
  readonly at: number;
  readonly size: number;
  readonly startIndex: number;
  readonly callPipe: boolean;
  /** Descriptors of each indirect table, used when INDIRECT_DESC is negotiated; 0: none is. */
  readonly indirectDescriptors: number;
}

/** A frame as it lies in the driver's buffers: a copy without the virtio-net header. */
export interface ReceivedFrame {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly gsoType: number;
  readonly headerLength: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
  readonly numBuffers: number;
  /** What the device says it wrote to each buffer. */
  readonly usedBytes: readonly number[];
}

interface Chain {
  readonly at: number;
  readonly sizeBytes: number;
  readonly layout: readonly number[];
}

/** Poison between two buffers of a chain, which the device must not touch. */
const GAP_BYTES = 16;
/** A frame of 1,514 bytes in descriptors of one byte, with its header. */
const PIECES_MAX = 1526;

/** One virtqueue on the driver's side, its memory and its event descriptors. */
export class TestRing {
  readonly index: number;
  readonly size: number;
  readonly startIndex: number;
  /** The memory as that of a split ring. */
  readonly ring: SplitRing;
  /** Where the front-end says that the ring is; a test may want it logged. */
  address: VringAddress;
  format: RingFormat = splitFormat;
  queue: DriverQueue;
  readonly #parts: RingParts;
  readonly #tables: IndirectTables | null;
  #indirect = false;
  #headerLength: 10 | 12 = 12;
  readonly #ram: GuestRam;
  readonly #kick: OwnedFd = createEventFd();
  readonly #error: OwnedFd = createEventFd();
  readonly #call: OwnedFd;
  /** The reading end, when the call descriptor is a pipe. */
  readonly #callReader: OwnedFd | null;
  readonly #signal: EventSignal = new EventSignal();
  readonly #chain: DescriptorChain = new DescriptorChain(PIECES_MAX);
  readonly #chains: Map<number, Chain> = new Map();

  constructor(ram: GuestRam, options: TestRingOptions) {
    const { index, at, size, startIndex } = options;
    this.#ram = ram;
    this.index = index;
    this.size = size;
    this.startIndex = startIndex;
    const available = at + descriptorTableBytes(size);
    const used = (available + availableRingBytes(size) + 3) & ~3;
    const { bytes } = ram;
    this.#parts = {
      descriptors: bytes.subarray(at, at + descriptorTableBytes(size)),
      driver: bytes.subarray(available, available + availableRingBytes(size)),
      device: bytes.subarray(used, used + usedRingBytes(size)),
    };
    this.ring = splitRing(size, this.#parts.descriptors, this.#parts.driver, this.#parts.device);
    this.address = {
      index,
      flags: 0,
      descriptors: ram.userAddress(at),
      available: ram.userAddress(available),
      used: ram.userAddress(used),
      logAddress: 0n,
    };
    this.#tables = options.indirectDescriptors > 0 ? tablesIn(ram, size, options.indirectDescriptors) : null;
    const pipe = options.callPipe ? createPipe() : null;
    this.#callReader = pipe?.[0] ?? null;
    this.#call = pipe?.[1] ?? createEventFd();
    this.queue = this.#newQueue(0n, startIndex);
  }

  #newQueue(features: bigint, startIndex: number): DriverQueue {
    const { descriptors, driver, device } = this.#parts;
    for (const part of [descriptors, driver, device]) part.fill(0);
    this.format = hasFeature(features, VirtioFeature.RING_PACKED) ? packedFormat : splitFormat;
    this.#indirect = this.#tables !== null && hasFeature(features, VirtioFeature.INDIRECT_DESC);
    return makeDriverQueue(this.format, this.size, this.#parts, {
      eventIndex: hasFeature(features, VirtioFeature.EVENT_IDX),
      inOrder: hasFeature(features, VirtioFeature.IN_ORDER),
      indirectTables: this.#tables,
      startIndex: this.format === packedFormat ? packedFormat.newRingBase : startIndex,
    });
  }

  /** The base of the ring before anything was in it. */
  get startBase(): number {
    return this.format === packedFormat ? packedFormat.newRingBase : this.startIndex;
  }

  /** Begins anew, for features that were agreed on; buffers given before are forgotten, as by a new driver. */
  negotiated(features: bigint, startIndex: number = this.startIndex): void {
    const long = hasFeature(features, VirtioFeature.VERSION_1) || hasFeature(features, VirtioFeature.MRG_RXBUF);
    this.#headerLength = long ? 12 : 10;
    for (const chain of this.#chains.values()) this.#ram.release(chain.at, chain.sizeBytes);
    this.#chains.clear();
    this.queue = this.#newQueue(features, startIndex);
  }

  get kickFd(): number {
    return this.#kick.fd;
  }

  get callFd(): number {
    return this.#call.fd;
  }

  get errorFd(): number {
    return this.#error.fd;
  }

  /** Chains that the device has not used yet. */
  get outstanding(): number {
    return this.#chains.size;
  }

  /** Publishes what was added, and kicks if the device wants it. Returns whether it did. */
  kick(): boolean {
    this.queue.publish();
    if (!this.queue.needsKick()) return false;
    this.kickAnyway();
    return true;
  }

  kickAnyway(): void {
    this.#signal.notify(this.#kick.fd);
  }

  /** How often the device has called since this was last asked. */
  takeCalls(): number {
    if (this.#callReader !== null) return this.#signal.drain(this.#callReader.fd) / 8;
    return readCounter(this.#call.fd);
  }

  /** Closes the reading end of a call pipe, as a front-end does that has gone away. */
  closeCallReader(): void {
    this.#callReader?.close();
  }

  /** How often the device has told the error fd. */
  takeErrors(): number {
    return readCounter(this.#error.fd);
  }

  /** Adds a frame to send, unpublished; see TestFrontEnd.send. */
  send(frame: Uint8Array, layout: readonly number[], header: Uint8Array = new Uint8Array(this.#headerLength)): void {
    const bytes = new Uint8Array(header.length + frame.length);
    bytes.set(header);
    bytes.set(frame, header.length);
    const pieces: number[] = [];
    let left = bytes.length;
    for (const piece of [...layout, left]) {
      if (left > 0) pieces.push(Math.min(piece, left));
      left -= Math.min(piece, left);
    }
    let done = 0;
    this.#add(pieces, true, (at, length) => {
      this.#ram.bytes.set(bytes.subarray(done, done + length), at);
      done += length;
    });
  }

  /** Adds a receive buffer, unpublished. */
  offer(layout: readonly number[]): void {
    this.#add(layout, false, () => {});
  }

  #add(layout: readonly number[], readable: boolean, fill: (at: number, lengthBytes: number) => void): void {
    const sizeBytes = layout.reduce((sum, piece) => sum + piece + GAP_BYTES, GAP_BYTES);
    const at = this.#ram.allocate(sizeBytes);
    const chain = this.#chain.clear();
    forEachPiece({ at, sizeBytes, layout }, (piece, lengthBytes) => {
      fill(piece, lengthBytes);
      const address = this.#ram.guestAddress(piece);
      if (readable) chain.readable(address, lengthBytes);
      else chain.writable(address, lengthBytes);
    });
    const head = this.#indirect ? this.queue.addIndirect(chain) : this.queue.add(chain);
    if (head < 0) throw new Error("the ring is full");
    this.#chains.set(head, { at, sizeBytes, layout });
  }

  /** Takes back the buffers of frames that were sent. */
  reapSent(): number {
    let count = 0;
    for (let head = this.queue.reap(); head >= 0; head = this.queue.reap()) {
      const chain = this.#takeChain(head);
      this.#ram.release(chain.at, chain.sizeBytes);
      count++;
    }
    return count;
  }

  /** Takes the frames that have arrived and gives their buffers again, unpublished. */
  takeFrames(mergeable: boolean): ReceivedFrame[] {
    const frames: ReceivedFrame[] = [];
    for (;;) {
      const pieces: Uint8Array[] = [];
      const usedBytes: number[] = [];
      if (!this.#takeBuffer(pieces, usedBytes)) return frames;
      const numBuffers = mergeable ? this.#takeBufferCount(pieces, usedBytes) : 1;
      while (pieces.length < numBuffers) {
        if (this.#takeBuffer(pieces, usedBytes)) continue;
        throw new Error(`${numBuffers} buffers promised, ${pieces.length} used`);
      }
      frames.push(frameOf(pieces, usedBytes, this.#headerLength, numBuffers));
    }
  }

  /** Reads num_buffers, which may lie in a later buffer than the first when they are short. */
  #takeBufferCount(pieces: Uint8Array[], usedBytes: number[]): number {
    for (;;) {
      const header = pieces.flatMap((piece) => [...piece.subarray(0, 12)]);
      if (header.length >= 12) return header[10] + header[11] * 256;
      if (!this.#takeBuffer(pieces, usedBytes)) throw new Error("a header in part only");
    }
  }

  #takeBuffer(pieces: Uint8Array[], usedBytes: number[]): boolean {
    const head = this.queue.reap();
    if (head < 0) return false;
    const chain = this.#takeChain(head);
    let left = this.queue.reapedBytes;
    usedBytes.push(left);
    const bytes = new Uint8Array(left);
    forEachPiece(chain, (at, lengthBytes) => {
      const take = Math.min(left, lengthBytes);
      bytes.set(this.#ram.bytes.subarray(at, at + take), bytes.length - left);
      left -= take;
    });
    if (left > 0) throw new Error(`${bytes.length} bytes written to a shorter buffer`);
    pieces.push(bytes);
    this.#ram.release(chain.at, chain.sizeBytes);
    this.offer(chain.layout);
    return true;
  }

  #takeChain(head: number): Chain {
    const chain = this.#chains.get(head);
    if (chain === undefined) throw new Error(`the device used chain ${head}, which it does not have`);
    this.#chains.delete(head);
    this.#checkGaps(chain);
    return chain;
  }

  #checkGaps(chain: Chain): void {
    let gapAt = chain.at;
    const check = (end: number) => {
      for (; gapAt < end; gapAt++) {
        if (this.#ram.bytes[gapAt] !== POISON) throw new Error(`byte ${gapAt} between buffers was overwritten`);
      }
    };
    forEachPiece(chain, (at, lengthBytes) => {
      check(at);
      gapAt = at + lengthBytes;
    });
    check(chain.at + chain.sizeBytes);
  }

  close(): void {
    this.#kick.close();
    this.#call.close();
    this.#callReader?.close();
    this.#error.close();
  }
}

/** Memory for an indirect table of each descriptor. */
function tablesIn(ram: GuestRam, size: number, tableSize: number): IndirectTables {
  const at = ram.allocate(size * tableSize * DESCRIPTOR_BYTES);
  const words = new Uint32Array(ram.bytes.buffer, ram.bytes.byteOffset + at, size * tableSize * 4);
  return { words, guestAddress: ram.guestAddress(at), tableSize };
}

function forEachPiece(chain: Chain, visit: (at: number, lengthBytes: number) => void): void {
  let at = chain.at + GAP_BYTES;
  for (const lengthBytes of chain.layout) {
    visit(at, lengthBytes);
    at += lengthBytes + GAP_BYTES;
  }
}

function frameOf(pieces: Uint8Array[], usedBytes: number[], headerLength: number, numBuffers: number): ReceivedFrame {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  const view = new DataView(all.buffer);
  return {
    bytes: all.slice(headerLength),
    flags: view.getUint8(0),
    gsoType: view.getUint8(1),
    headerLength: view.getUint16(2, true),
    gsoSize: view.getUint16(4, true),
    checksumStart: view.getUint16(6, true),
    checksumOffset: view.getUint16(8, true),
    numBuffers,
    usedBytes,
  };
}

/** Reads and clears the counter of an eventfd; 0 when it is 0. */
function readCounter(fd: number): number {
  const counter = new BigUint64Array(1);
  try {
    readSync(fd, counter, 0, 8, null);
  } catch (error) {
    if ((error as { code?: string }).code === "EAGAIN") return 0;
    throw error;
  }
  return Number(counter[0]);
}
