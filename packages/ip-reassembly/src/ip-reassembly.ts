/**
 * Trust: the guest writes every fragment. A fragment costs at most one copy of its bytes and a walk over 256 ranges;
 * memory is fixed, and what is not whole makes room for what is newer. No byte that comes in makes this throw.
 */
import type { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { IPV4_MAPPED_WORD } from "@passt-ts/wire/ip-address";
import type { Packet } from "@passt-ts/wire/packet";
import { DATA_AT, endHeaders, keepHeaders, SLOT_BYTES } from "./datagram-header.ts";
import { Fragment } from "./fragment.ts";
import { FragmentList, Placement } from "./fragment-list.ts";
import { REASSEMBLY_COUNTERS, ReassemblyCounter } from "./reassembly-counter.ts";
import { TimeExceededWriter } from "./time-exceeded-writer.ts";

/** How long a datagram may take to become whole (RFC 8200 section 4.5, RFC 1122 section 3.3.2), in ms. */
export const REASSEMBLY_TIMEOUT_MS = 60_000;

/** What a place holds: nothing, fragments, the memory of a datagram that must not become whole, or a whole datagram. */
const State = { free: 0, collecting: 1, refused: 2, whole: 3 } as const;

/** Bytes of the window that `slotCount` datagrams need. */
export function reassemblyBytesFor(slotCount: number): number {
  return slotCount * SLOT_BYTES;
}

export interface IpReassemblyOptions {
  /** The table that the guest's frames belong to. */
  readonly windows: WindowTable;
  /** {@link reassemblyBytesFor} bytes at `offset` of this window belong to the reassembly; engines send from there. */
  readonly window: number;
  readonly offset: number;
  /** Datagrams at once, those in {@link IpReassembly.frames} included. */
  readonly slotCount: number;
  readonly timeoutMs?: number;
}

/**
 * Puts the datagrams together that a guest sent in fragments, and hands them on as frames that hold one packet each:
 * Ethernet header, IP header without options or extension headers, and everything behind them.
 *
 * Fragments that overlap make the whole datagram invalid, those that are still to come too (RFC 5722); one that repeats
 * another exactly is ignored.
 */
export class IpReassembly {
  /** By {@link ReassemblyCounter}. */
  readonly counters: Float64Array = new Float64Array(REASSEMBLY_COUNTERS);
  /** The datagrams that are whole, until {@link IpReassembly.release}. */
  readonly frames: FrameBatch;
  readonly #windows: WindowTable;
  readonly #window: number;
  readonly #offset: number;
  readonly #slotCount: number;
  readonly #timeoutMs: number;
  readonly #state: Uint8Array;
  readonly #ipVersion: Uint8Array;
  readonly #protocol: Uint8Array;
  readonly #identification: Uint32Array;
  readonly #addresses: Uint32Array;
  /** Length of the payload once the last fragment is there, else -1. */
  readonly #totalBytes: Int32Array;
  readonly #sinceMs: Float64Array;
  readonly #list: FragmentList;
  readonly #fragment: Fragment = new Fragment();
  readonly #errors: TimeExceededWriter;
  /** Places in state collecting or refused. */
  #waiting = 0;

  constructor(options: IpReassemblyOptions) {
    const { windows, window, offset, slotCount } = options;
    if (offset + reassemblyBytesFor(slotCount) > windows.bytes[window].length) {
      throw new RangeError(`window ${window} has no room for ${slotCount} datagrams`);
    }
    this.frames = new FrameBatch(windows, slotCount, slotCount);
    this.#windows = windows;
    this.#window = window;
    this.#offset = offset;
    this.#slotCount = slotCount;
    this.#timeoutMs = options.timeoutMs ?? REASSEMBLY_TIMEOUT_MS;
    this.#state = new Uint8Array(slotCount);
    this.#ipVersion = new Uint8Array(slotCount);
    this.#protocol = new Uint8Array(slotCount);
    this.#identification = new Uint32Array(slotCount);
    this.#addresses = new Uint32Array(8 * slotCount);
    this.#totalBytes = new Int32Array(slotCount);
    this.#sinceMs = new Float64Array(slotCount);
    this.#list = new FragmentList(slotCount);
    this.#errors = new TimeExceededWriter(windows, window);
  }

  /**
   * Takes one fragment of the guest: `packet` is the parsed frame, whose headers stand in `view`, and the frame itself
   * begins at `frameOffset` of `frame`. Its bytes are copied: the buffers are free when this returns.
   *
   * When its datagram is whole now, it is the newest one in {@link IpReassembly.frames}.
   */
  input(packet: Packet, view: DataView, frame: Iov, frameOffset: number, nowMs: number): void {
    this.counters[ReassemblyCounter.fragments]++;
    const fragment = this.#fragment;
    if (!fragment.read(packet, view)) {
      this.counters[ReassemblyCounter.malformed]++;
      return;
    }
    let slot = this.#find(fragment);
    if (slot === -1) slot = this.#begin(fragment, nowMs);
    if (slot === -1) {
      this.counters[ReassemblyCounter.noRoom]++;
      return;
    }
    if (this.#state[slot] === State.refused) {
      this.counters[ReassemblyCounter.ofRefused]++;
      return;
    }
    if (this.#place(slot, fragment)) this.#copy(slot, fragment, packet, view, frame, frameOffset);
  }

  /** Half of the places hold whole datagrams: they are to be handed on and released before the next fragment. */
  get isFull(): boolean {
    return 2 * this.frames.count >= this.#slotCount;
  }

  /** The datagrams in {@link IpReassembly.frames} are used up, their memory too. */
  release(): void {
    if (this.frames.count === 0) return;
    this.frames.clear();
    for (let slot = 0; slot < this.#slotCount; slot++) {
      if (this.#state[slot] === State.whole) this.#state[slot] = State.free;
    }
  }

  /** When {@link IpReassembly.expire} is to be called, or Infinity. */
  get deadlineMs(): number {
    if (this.#waiting === 0) return Infinity;
    return this.#sinceMs[this.#oldest()] + this.#timeoutMs;
  }

  /**
   * Gives up the datagrams that are not whole in time. The guest is told of those whose beginning it sent (RFC 8200
   * section 4.5, RFC 792).
   */
  expire(nowMs: number, sink: RxSink): void {
    while (this.#waiting > 0) {
      const slot = this.#oldest();
      if (this.#sinceMs[slot] + this.#timeoutMs > nowMs) return;
      if (this.#state[slot] === State.collecting) {
        this.counters[ReassemblyCounter.expired]++;
        this.#tell(slot, sink);
      }
      this.#forget(slot);
    }
  }

  /** The guest is a new one: nothing that was begun becomes whole. */
  reset(): void {
    this.frames.clear();
    this.#state.fill(State.free);
    this.#waiting = 0;
  }

  #slotAt(slot: number): number {
    return this.#offset + slot * SLOT_BYTES;
  }

  /** The place of the datagram that the fragment belongs to, or -1. With IPv6 the protocol does not tell them apart. */
  #find({ identification, ipVersion, protocol, addresses }: Fragment): number {
    for (let slot = 0; slot < this.#slotCount; slot++) {
      if (this.#identification[slot] !== identification || this.#ipVersion[slot] !== ipVersion) continue;
      const state = this.#state[slot];
      if (state !== State.collecting && state !== State.refused) continue;
      if (ipVersion === 4 && this.#protocol[slot] !== protocol) continue;
      let word = 0;
      while (word < 8 && this.#addresses[8 * slot + word] === addresses[word]) word++;
      if (word === 8) return slot;
    }
    return -1;
  }

  /** A place for a new datagram: a free one, or that of the oldest one that is not whole; -1 when all are whole. */
  #begin(fragment: Fragment, nowMs: number): number {
    let slot = this.#state.indexOf(State.free);
    if (slot === -1) {
      if (this.#waiting === 0) return -1;
      slot = this.#oldest();
      this.counters[ReassemblyCounter.evicted]++;
      this.#forget(slot);
    }
    this.#state[slot] = State.collecting;
    this.#ipVersion[slot] = fragment.ipVersion;
    this.#protocol[slot] = fragment.protocol;
    this.#identification[slot] = fragment.identification;
    this.#addresses.set(fragment.addresses, 8 * slot);
    this.#totalBytes[slot] = -1;
    this.#sinceMs[slot] = nowMs;
    this.#list.clear(slot);
    this.#waiting++;
    return slot;
  }

  /** Whether the fragment is a new part of the datagram in `slot`; refuses the datagram when it cannot be one. */
  #place(slot: number, { first, end, moreFollow }: Fragment): boolean {
    const total = this.#totalBytes[slot];
    const isBeyond = total !== -1 && (moreFollow ? end >= total : end !== total);
    if (isBeyond || (!moreFollow && this.#list.lastEnd[slot] > end)) {
      this.#refuse(slot, ReassemblyCounter.inconsistent);
      return false;
    }
    switch (this.#list.add(slot, first, end)) {
      case Placement.duplicate:
        this.counters[ReassemblyCounter.duplicates]++;
        return false;
      case Placement.overlap:
        this.#refuse(slot, ReassemblyCounter.overlaps);
        return false;
      case Placement.full:
        this.#refuse(slot, ReassemblyCounter.tooMany);
        return false;
      default:
        if (!moreFollow) this.#totalBytes[slot] = end;
        return true;
    }
  }

  #copy(slot: number, fragment: Fragment, packet: Packet, view: DataView, frame: Iov, frameOffset: number): void {
    const { first, end, dataOffset } = fragment;
    const at = this.#slotAt(slot);
    const own = this.#windows.views[this.#window];
    if (first === 0) {
      keepHeaders(own, at, packet, view);
      this.#protocol[slot] = fragment.protocol;
    }
    const bytes = end - first;
    if (gather(frame, frameOffset + dataOffset, this.#window, at + DATA_AT + first, bytes) !== bytes) {
      // The frame is shorter than it says.
      this.#refuse(slot, ReassemblyCounter.malformed);
      return;
    }
    if (this.#list.receivedBytes[slot] === this.#totalBytes[slot]) this.#complete(slot, own);
  }

  #complete(slot: number, own: DataView): void {
    const { frames } = this;
    const total = this.#totalBytes[slot];
    const at = this.#slotAt(slot);
    const frameAt = endHeaders(own, at, this.#ipVersion[slot], this.#protocol[slot], total);
    const index = frames.count;
    frames.firstEntry[index] = frames.pool.count;
    frames.entryCount[index] = 1;
    frames.pool.append(this.#window, frameAt, at + DATA_AT + total - frameAt);
    frames.offset[index] = 0;
    frames.length[index] = at + DATA_AT + total - frameAt;
    frames.clearOffload(index);
    frames.count = index + 1;
    this.#state[slot] = State.whole;
    this.#waiting--;
    this.counters[ReassemblyCounter.reassembled]++;
  }

  #refuse(slot: number, counter: number): void {
    this.#state[slot] = State.refused;
    this.counters[counter]++;
  }

  #forget(slot: number): void {
    this.#state[slot] = State.free;
    this.#waiting--;
  }

  /** The place in state collecting or refused whose first fragment is the oldest; there is one. */
  #oldest(): number {
    let oldest = -1;
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const state = this.#state[slot];
      if (state !== State.collecting && state !== State.refused) continue;
      if (oldest === -1 || this.#sinceMs[slot] < this.#sinceMs[oldest]) oldest = slot;
    }
    return oldest;
  }

  #tell(slot: number, sink: RxSink): void {
    const firstBytes = this.#list.endOfFirst(slot);
    const at = this.#slotAt(slot);
    if (firstBytes === 0 || !mayBeTold(this.#addresses, 8 * slot)) return;
    const written = this.#errors.write(
      sink,
      at,
      this.#ipVersion[slot],
      this.#protocol[slot],
      firstBytes,
      this.#identification[slot],
      this.#addresses,
      8 * slot,
    );
    if (written === 0) this.counters[ReassemblyCounter.errorsToGuest]++;
  }
}

/** No error about a packet to a group, nor to somebody who is nobody (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). */
function mayBeTold(addresses: Uint32Array, at: number): boolean {
  return isHost(addresses, at) && isHost(addresses, at + 4);
}

function isHost(words: Uint32Array, at: number): boolean {
  const last = words[at + 3];
  const isMapped = words[at] === 0 && words[at + 1] === 0 && words[at + 2] === IPV4_MAPPED_WORD;
  if (isMapped) return last >>> 28 < 14 && last !== 0;
  const isUnspecified = (words[at] | words[at + 1] | words[at + 2] | last) === 0;
  return !isUnspecified && words[at] >>> 24 !== 0xff;
}
