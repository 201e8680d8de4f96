import type { Iov } from "@passt-ts/iov/iov";
import { controlSpace, writeControlHeader } from "./control-message.ts";
import { CALL_ENTRIES_MAX, IovecTable } from "./iovec-table.ts";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { isIpv4Mapped, type SocketAddress } from "./socket-address.ts";
import {
  IP_PKTINFO,
  IP_TTL,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_SEGMENT,
} from "./socket-constants.ts";
import { Errno } from "./system-error.ts";

const MMSG = { name: 0, nameLength: 2, entries: 4, entryCount: 6, control: 8, controlLength: 10, flags: 12 } as const;
const MMSG_WORDS = 16;
const NAME_BYTES = 32;
/** Room for a segment size, a hop limit and a source address. */
const CONTROL_BYTES: number = controlSpace(2) + controlSpace(4) + controlSpace(20);

/** Why {@link DatagramSendBatch.add} took nothing. */
export const NotAdded = {
  /** No message or too few entries left: send the batch, clear it, add again. */
  full: -1,
  /** More entries than a call takes, or than the table holds: copy the datagram into one buffer first, and count it. */
  tooManyEntries: -2,
  /** The list is shorter than the datagram, or points outside its windows. */
  badRange: -3,
} as const;

/**
 * sendmmsg of datagrams that lie in scatter-gather lists.
 *
 * The payload is borrowed from {@link DatagramSendBatch.add} until the batch was sent.
 */
export class DatagramSendBatch {
  readonly capacity: number;
  readonly #table: IovecTable;
  readonly #messages: NativeBuffer;
  readonly #names: NativeBuffer;
  readonly #controls: NativeBuffer;
  /** Datagrams in the batch. */
  count = 0;

  /** @param capacity datagrams. @param entryCapacity entries of all datagrams together. */
  constructor(capacity: number, entryCapacity: number = Math.max(capacity * 4, CALL_ENTRIES_MAX)) {
    this.capacity = capacity;
    this.#table = new IovecTable(entryCapacity);
    this.#messages = new NativeBuffer(capacity * MMSG_WORDS * 4);
    this.#names = new NativeBuffer(capacity * NAME_BYTES);
    this.#controls = new NativeBuffer(capacity * CONTROL_BYTES);
  }

  /**
   * Adds the datagram of `lengthBytes` bytes (0 is one too) at `offset` of `iov`, for `destination`, which is copied,
   * or for the peer that the socket is connected to. Its index, or a number of {@link NotAdded}.
   */
  add(iov: Iov, offset: number, lengthBytes: number, destination: SocketAddress | null = null): number {
    const index = this.count;
    if (index === this.capacity) return NotAdded.full;
    const first = this.#table.count;
    const covered = this.#table.append(iov, offset, lengthBytes);
    const entries = this.#table.count - first;
    if (covered !== lengthBytes || entries > CALL_ENTRIES_MAX) {
      this.#table.count = first;
      if (covered < 0) return NotAdded.badRange;
      if (entries > CALL_ENTRIES_MAX) return NotAdded.tooManyEntries;
      if (first + entries < this.#table.capacity) return NotAdded.badRange;
      return first === 0 ? NotAdded.tooManyEntries : NotAdded.full;
    }
    const { words } = this.#messages;
    const at = index * MMSG_WORDS;
    const nameLength = destination === null ? 0 : destination.lengthBytes;
    this.#messages.setLong(at + MMSG.name, nameLength === 0 ? 0 : this.#names.address + index * NAME_BYTES);
    words[at + MMSG.nameLength] = nameLength;
    this.#messages.setLong(at + MMSG.entries, this.#table.addressOf(first));
    words[at + MMSG.entryCount] = entries;
    this.#messages.setLong(at + MMSG.control, 0);
    words[at + MMSG.controlLength] = 0;
    if (destination !== null) destination.copyTo(this.#names.words, (index * NAME_BYTES) >> 2);
    this.count = index + 1;
    return index;
  }

  /** Has the kernel cut datagram `index` into datagrams of `segmentBytes` bytes (UDP_SEGMENT). */
  setSegmentBytes(index: number, segmentBytes: number): void {
    this.#controls.view.setUint16(this.#addControl(index, SOL_UDP, UDP_SEGMENT, 2), segmentBytes, true);
  }

  /** Sends datagram `index` with this TTL or hop limit; `ipVersion` is that of the packet on the wire. */
  setHopLimit(index: number, ipVersion: 4 | 6, hopLimit: number): void {
    const at =
      ipVersion === 4
        ? this.#addControl(index, SOL_IP, IP_TTL, 4)
        : this.#addControl(index, SOL_IPV6, IPV6_HOPLIMIT, 4);
    this.#controls.view.setInt32(at, hopLimit, true);
  }

  /** Sends datagram `index` from this local address, IPv4 when it is IPv4-mapped. */
  setSource(index: number, words: Uint32Array, wordsAt = 0): void {
    const { view } = this.#controls;
    if (isIpv4Mapped(words, wordsAt)) {
      const at = this.#addControl(index, SOL_IP, IP_PKTINFO, 12);
      view.setUint32(at, 0);
      view.setUint32(at + 4, words[wordsAt + 3]);
      view.setUint32(at + 8, 0);
      return;
    }
    const at = this.#addControl(index, SOL_IPV6, IPV6_PKTINFO, 20);
    for (let i = 0; i < 4; i++) view.setUint32(at + i * 4, words[wordsAt + i]);
    view.setUint32(at + 16, 0);
  }

  /**
   * Sends the datagrams from index `from` on in one call. How many went, or -errno of datagram `from`: the caller drops
   * or keeps that one and goes on behind it.
   */
  send(fd: number, from = 0): number {
    const count = this.count - from;
    if (count <= 0) return 0;
    const address = this.#messages.address + from * MMSG_WORDS * 4;
    return resultOf(libc.sendmmsg(fd, address, count, MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  /** Empties the batch. */
  clear(): void {
    this.count = 0;
    this.#table.count = 0;
  }

  /** Each kind of control message at most once for a datagram: the room is made for that. */
  #addControl(index: number, level: number, type: number, dataBytes: number): number {
    const { words } = this.#messages;
    const word = index * MMSG_WORDS;
    const used = words[word + MMSG.controlLength];
    const space = controlSpace(dataBytes);
    if (index >= this.count || used + space > CONTROL_BYTES) throw new RangeError(`no control room at ${index}`);
    const at = index * CONTROL_BYTES + used;
    if (used === 0) this.#messages.setLong(word + MMSG.control, this.#controls.address + at);
    words[word + MMSG.controlLength] = used + space;
    return writeControlHeader(this.#controls.view, at, level, type, dataBytes);
  }
}

/** A result of {@link DatagramSendBatch.send} that is about the socket or the host being full, not about the datagram. */
export function isSocketFull(result: number): boolean {
  return result === -Errno.EAGAIN || result === -Errno.ENOBUFS;
}
