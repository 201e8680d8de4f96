/**
 * The error queue of a socket with IP_RECVERR or IPV6_RECVERR: which datagram failed, and who said so (ip(7)).
 *
 * Trust: ICMP errors come from anybody who can guess a flow; the kernel has matched them to the socket. The payload is
 * our own datagram as far as the error quoted it.
 */
import { findControl } from "./control-message.ts";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { readSockaddrWords, SOCKADDR_SLOT_BYTES, sockaddrFamily, sockaddrPort } from "./socket-address.ts";
import { IP_RECVERR, IPV6_RECVERR, MSG_DONTWAIT, MSG_ERRQUEUE, SOL_IP, SOL_IPV6 } from "./socket-constants.ts";

/** Who found the error (linux/errqueue.h, SO_EE_ORIGIN_*). */
export const ErrorOrigin = { none: 0, local: 1, icmp: 2, icmp6: 3 } as const;

const MSG = { name: 0, nameLength: 2, entries: 4, entryCount: 6, control: 8, controlLength: 10, flags: 12 } as const;
const MSG_WORDS = 14;
const NAME_AT = 0;
const CONTROL_BYTES = 512;
/** struct sock_extended_err; the offender's sockaddr lies behind it. */
const EXTENDED = { errno: 0, origin: 4, type: 5, code: 6, info: 8, size: 16 } as const;

/** Reads one error after the other; made once and filled again. */
export class ErrorQueue {
  readonly #message: NativeBuffer = new NativeBuffer((MSG_WORDS + 4) * 4);
  readonly #name: NativeBuffer = new NativeBuffer(SOCKADDR_SLOT_BYTES);
  readonly #control: NativeBuffer = new NativeBuffer(CONTROL_BYTES);
  readonly #payload: NativeBuffer;
  /** The beginning of the datagram that failed, as far as it was quoted; the last answer's length counts. */
  readonly payload: Uint8Array;
  /** Positive error number (ECONNREFUSED, EHOSTUNREACH, EMSGSIZE ...). */
  errno = 0;
  /** A number of {@link ErrorOrigin}. */
  origin = 0;
  /** ICMP or ICMPv6 type and code. */
  type = 0;
  code = 0;
  /** The path MTU for EMSGSIZE. */
  info = 0;
  /** Where the datagram was going. */
  readonly destination: Uint32Array = new Uint32Array(4);
  destinationPort = 0;
  /** Who sent the ICMP error; all zero when it is not known. */
  readonly offender: Uint32Array = new Uint32Array(4);
  hasOffender = false;

  /** @param payloadBytes how much of a failed datagram is kept. */
  constructor(payloadBytes = 1500) {
    this.#payload = new NativeBuffer(payloadBytes);
    this.payload = this.#payload.bytes;
    const entry = MSG_WORDS;
    this.#message.setLong(entry, this.#payload.address);
    this.#message.setLong(entry + 2, payloadBytes);
    this.#message.setLong(MSG.name, this.#name.address + NAME_AT);
    this.#message.setLong(MSG.entries, this.#message.address + entry * 4);
    this.#message.setLong(MSG.entryCount, 1);
    this.#message.setLong(MSG.control, this.#control.address);
  }

  /**
   * Takes one error from the socket's queue and fills the fields. The bytes of {@link ErrorQueue.payload} that are the
   * datagram's (0 or more), or -errno: -EAGAIN when the queue is empty.
   */
  receive(fd: number): number {
    const { words } = this.#message;
    words[MSG.nameLength] = SOCKADDR_SLOT_BYTES;
    words[MSG.controlLength] = CONTROL_BYTES;
    words[MSG.flags] = 0;
    this.#name.words[0] = 0;
    const result = resultOf(libc.recvmsg(fd, this.#message.address, MSG_ERRQUEUE | MSG_DONTWAIT));
    if (result >= 0) this.#decode(words[MSG.controlLength]);
    return result;
  }

  #decode(controlBytes: number): void {
    readSockaddrWords(this.#name.view, 0, this.destination, 0);
    this.destinationPort = sockaddrPort(this.#name.view, 0);
    this.errno = 0;
    this.origin = 0;
    this.type = 0;
    this.code = 0;
    this.info = 0;
    this.hasOffender = false;
    this.offender.fill(0);
    const { view } = this.#control;
    let at = findControl(view, 0, controlBytes, SOL_IP, IP_RECVERR, EXTENDED.size);
    if (at === -1) at = findControl(view, 0, controlBytes, SOL_IPV6, IPV6_RECVERR, EXTENDED.size);
    if (at === -1) return;
    this.errno = view.getUint32(at + EXTENDED.errno, true);
    this.origin = view.getUint8(at + EXTENDED.origin);
    this.type = view.getUint8(at + EXTENDED.type);
    this.code = view.getUint8(at + EXTENDED.code);
    this.info = view.getUint32(at + EXTENDED.info, true);
    const offenderAt = at + EXTENDED.size;
    // The kernel writes AF_UNSPEC (0) where it does not know.
    if (offenderAt + 2 <= controlBytes && sockaddrFamily(view, offenderAt) !== 0) {
      this.hasOffender = readSockaddrWords(view, offenderAt, this.offender, 0);
    }
  }
}
