/**
 * recvmmsg into slots of the owner's memory.
 *
 * Trust: anybody may send to the socket. A datagram longer than a slot is cut and says so; a source address or control
 * message is only read where the kernel says that it wrote one.
 */
import type { WindowTable } from "@passt-ts/iov/windows";
import { findControl } from "./control-message.ts";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { readSockaddrWords, SOCKADDR_SLOT_BYTES, sockaddrPort, sockaddrScopeId } from "./socket-address.ts";
import {
  IP_PKTINFO,
  IP_TTL,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_GRO,
} from "./socket-constants.ts";

/** struct mmsghdr in 32-bit words, the same on x86-64 and arm64. */
const MMSG = {
  name: 0,
  nameLength: 2,
  entries: 4,
  entryCount: 6,
  control: 8,
  controlLength: 10,
  flags: 12,
  length: 14,
};
const MMSG_WORDS = 16;
const ENTRY_WORDS = 4;

/** Where the datagrams go and how many at once. */
export interface DatagramReceiveOptions {
  readonly windows: WindowTable;
  /** The window that holds the slots; it has a native address and stays while the batch is used. */
  readonly window: number;
  /** Offset of slot 0 in the window; slot `i` begins `i * slotBytes` behind it. */
  readonly offset: number;
  readonly slots: number;
  /** With UDP_GRO at least 65535, or data is lost. */
  readonly slotBytes: number;
  /** Room for control messages of each datagram; default 128. */
  readonly controlBytes?: number;
}

/** A batch of received datagrams. What it says of a slot holds until the next {@link DatagramReceiveBatch.receive}. */
export class DatagramReceiveBatch {
  readonly slots: number;
  readonly slotBytes: number;
  readonly window: number;
  readonly #offset: number;
  readonly #controlBytes: number;
  readonly #messages: NativeBuffer;
  readonly #entries: NativeBuffer;
  readonly #names: NativeBuffer;
  readonly #controls: NativeBuffer;
  /** Datagrams received by the last call. */
  count = 0;

  /** @throws RangeError when the slots do not lie inside the window or it has no native address. */
  constructor(options: DatagramReceiveOptions) {
    const { windows, window, offset, slots, slotBytes, controlBytes = 128 } = options;
    const base = windows.addresses[window];
    if (!(base > 0) || offset < 0 || offset + slots * slotBytes > windows.bytes[window].length) {
      throw new RangeError(`${slots} slots of ${slotBytes} bytes at ${offset} are not inside window ${window}`);
    }
    this.slots = slots;
    this.slotBytes = slotBytes;
    this.window = window;
    this.#offset = offset;
    this.#controlBytes = (controlBytes + 7) & ~7;
    this.#messages = new NativeBuffer(slots * MMSG_WORDS * 4);
    this.#entries = new NativeBuffer(slots * ENTRY_WORDS * 4);
    this.#names = new NativeBuffer(slots * SOCKADDR_SLOT_BYTES);
    this.#controls = new NativeBuffer(Math.max(slots * this.#controlBytes, 8));
    for (let slot = 0; slot < slots; slot++) {
      this.#entries.setLong(slot * ENTRY_WORDS, base + offset + slot * slotBytes);
      this.#entries.setLong(slot * ENTRY_WORDS + 2, slotBytes);
      const at = slot * MMSG_WORDS;
      this.#messages.setLong(at + MMSG.name, this.#names.address + slot * SOCKADDR_SLOT_BYTES);
      this.#messages.setLong(at + MMSG.entries, this.#entries.address + slot * ENTRY_WORDS * 4);
      this.#messages.setLong(at + MMSG.entryCount, 1);
      this.#messages.setLong(at + MMSG.control, this.#controls.address + slot * this.#controlBytes);
    }
    this.#reset(slots);
  }

  /** Receives what waits, at most `max` datagrams. How many, or -errno: -EAGAIN when none waits. */
  receive(fd: number, max: number = this.slots): number {
    this.#reset(this.count);
    this.count = 0;
    const wanted = Math.min(max, this.slots);
    const result = resultOf(libc.recvmmsg(fd, this.#messages.address, wanted, MSG_DONTWAIT, 0));
    if (result > 0) this.count = result;
    return result;
  }

  /** Where the datagram of `slot` begins in the window. */
  offset(slot: number): number {
    return this.#offset + slot * this.slotBytes;
  }

  /** Bytes of the datagram that are in the slot. */
  length(slot: number): number {
    return this.#messages.words[slot * MMSG_WORDS + MMSG.length];
  }

  /** The datagram was longer than the slot and was cut. */
  isTruncated(slot: number): boolean {
    return (this.#messages.words[slot * MMSG_WORDS + MMSG.flags] & MSG_TRUNC) !== 0;
  }

  /** Reads the sender's address as four words, IPv4 as IPv4-mapped; false and all zero when there is none. */
  source(slot: number, out: Uint32Array, outAt = 0): boolean {
    const has = this.#messages.words[slot * MMSG_WORDS + MMSG.nameLength] > 0;
    const at = slot * SOCKADDR_SLOT_BYTES;
    // The slot's name is zeroed before each call, so without an address this reads family 0.
    return readSockaddrWords(this.#names.view, at, out, outAt) && has;
  }

  /** The sender's port (the id of an echo for a ping socket). */
  sourcePort(slot: number): number {
    return sockaddrPort(this.#names.view, slot * SOCKADDR_SLOT_BYTES);
  }

  /** Interface index of a link-local IPv6 sender, else 0. */
  sourceScopeId(slot: number): number {
    return sockaddrScopeId(this.#names.view, slot * SOCKADDR_SLOT_BYTES);
  }

  /** The control messages of all slots; see {@link DatagramReceiveBatch.control}. */
  get controls(): DataView {
    return this.#controls.view;
  }

  /** Offset in {@link DatagramReceiveBatch.controls} of the data of a control message, or -1 when there is none. */
  control(slot: number, level: number, type: number, dataBytes: number): number {
    const at = slot * this.#controlBytes;
    const end = at + this.#messages.words[slot * MMSG_WORDS + MMSG.controlLength];
    return findControl(this.#controls.view, at, end, level, type, dataBytes);
  }

  /** Length of the datagrams that UDP_GRO joined in this slot (the last may be shorter); 0 when it holds one. */
  segmentBytes(slot: number): number {
    const at = this.control(slot, SOL_UDP, UDP_GRO, 4);
    return at === -1 ? 0 : this.#controls.view.getInt32(at, true);
  }

  /** TTL or hop limit that it came with (IP_RECVTTL, IPV6_RECVHOPLIMIT), or -1 when not asked for. */
  hopLimit(slot: number): number {
    let at = this.control(slot, SOL_IP, IP_TTL, 4);
    if (at === -1) at = this.control(slot, SOL_IPV6, IPV6_HOPLIMIT, 4);
    return at === -1 ? -1 : this.#controls.view.getInt32(at, true);
  }

  /** Reads the address that it was sent to (IP_PKTINFO, IPV6_RECVPKTINFO); false when not asked for. */
  destination(slot: number, out: Uint32Array, outAt = 0): boolean {
    const { view } = this.#controls;
    const at4 = this.control(slot, SOL_IP, IP_PKTINFO, 12);
    if (at4 !== -1) {
      out[outAt] = 0;
      out[outAt + 1] = 0;
      out[outAt + 2] = 0xffff;
      out[outAt + 3] = view.getUint32(at4 + 8);
      return true;
    }
    const at6 = this.control(slot, SOL_IPV6, IPV6_PKTINFO, 20);
    if (at6 === -1) return false;
    for (let i = 0; i < 4; i++) out[outAt + i] = view.getUint32(at6 + i * 4);
    return true;
  }

  /** Interface index that it came in by (IP_PKTINFO, IPV6_RECVPKTINFO), or 0 when not asked for. */
  interfaceIndex(slot: number): number {
    const at4 = this.control(slot, SOL_IP, IP_PKTINFO, 12);
    if (at4 !== -1) return this.#controls.view.getUint32(at4, true);
    const at6 = this.control(slot, SOL_IPV6, IPV6_PKTINFO, 20);
    return at6 === -1 ? 0 : this.#controls.view.getUint32(at6 + 16, true);
  }

  /** Makes room again in the first `count` slots: the kernel overwrote the lengths of what it filled. */
  #reset(count: number): void {
    const { words } = this.#messages;
    for (let slot = 0; slot < count; slot++) {
      const at = slot * MMSG_WORDS;
      words[at + MMSG.nameLength] = SOCKADDR_SLOT_BYTES;
      words[at + MMSG.controlLength] = this.#controlBytes;
      words[at + MMSG.flags] = 0;
      this.#names.words[(slot * SOCKADDR_SLOT_BYTES) >> 2] = 0;
    }
  }
}
