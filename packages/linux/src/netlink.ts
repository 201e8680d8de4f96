/**
 * rtnetlink (rtnetlink(7)): requests to the kernel and its answers.
 *
 * Trust: the kernel writes these bytes; lengths are checked all the same, so that a message cut by a short buffer is
 * refused and not misread.
 */
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { AF_NETLINK, MSG_DONTWAIT, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW } from "./socket-constants.ts";
import { Errno, orThrow, SystemError } from "./system-error.ts";

/** Message types used here. */
export const NetlinkMessage = {
  error: 2,
  done: 3,
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const;

/** Multicast groups that a socket can follow, for its constructor; a bit set (RTMGRP_*). */
export const NetlinkGroup = {
  link: 0x1,
  ipv4Address: 0x10,
  ipv4Route: 0x40,
  ipv6Address: 0x100,
  ipv6Route: 0x400,
} as const;

/** Is told each message: its type, and where its body begins and ends in `view`. */
export type NetlinkVisitor = (type: number, view: DataView, bodyAt: number, end: number) => void;

const NETLINK_ROUTE = 0;
const HEADER_BYTES = 16;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const BUFFER_BYTES = 64 * 1024;
const DUMP_ATTEMPTS = 5;

/** A netlink socket for routes, addresses and links. */
export class NetlinkSocket implements Disposable {
  readonly #socket: OwnedFd;
  readonly #buffer: NativeBuffer = new NativeBuffer(BUFFER_BYTES);
  #sequence = 0;

  /** @param groups {@link NetlinkGroup} bits whose changes {@link NetlinkSocket.receive} reports. @throws SystemError */
  constructor(groups = 0) {
    this.#socket = new OwnedFd(orThrow(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "socket"));
    const address = new NativeBuffer(12);
    address.view.setUint16(0, AF_NETLINK, true);
    address.view.setUint32(8, groups, true);
    try {
      orThrow(libc.bind(this.#socket.fd, address.address, address.lengthBytes), "bind");
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** For the event loop of an owner that follows groups. */
  get fd(): number {
    return this.#socket.fd;
  }

  /**
   * Asks for everything of one kind and tells the visitor each message. A dump that changes interrupted is asked for
   * again; `begin` is called before each attempt, so that what was collected can be forgotten.
   *
   * @throws SystemError
   */
  dump(type: number, family: number, begin: () => void, visit: NetlinkVisitor): void {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      begin();
      this.#request(type, family);
      if (this.#receiveDump(visit)) return;
    }
    throw new SystemError("netlink dump", Errno.EINTR);
  }

  /** Tells the visitor what has changed in the groups; messages read, or -errno: -EAGAIN when nothing waits. */
  receive(visit: NetlinkVisitor): number {
    const length = this.#receive(MSG_DONTWAIT);
    if (length < 0) return length;
    const { view } = this.#buffer;
    let count = 0;
    for (let at = 0; at + HEADER_BYTES <= length; count++) {
      const size = view.getUint32(at, true);
      if (size < HEADER_BYTES || at + size > length) break;
      visit(view.getUint16(at + 4, true), view, at + HEADER_BYTES, at + size);
      at += (size + 3) & ~3;
    }
    return count;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #request(type: number, family: number): void {
    // Room for the longest fixed body (ifinfomsg, 16 bytes); the family is the first byte of each.
    const request = new NativeBuffer(HEADER_BYTES + 16);
    const { view } = request;
    view.setUint32(0, request.lengthBytes, true);
    view.setUint16(4, type, true);
    view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
    view.setUint32(8, ++this.#sequence, true);
    view.setUint8(HEADER_BYTES, family);
    orThrow(libc.send(this.#socket.fd, request.address, request.lengthBytes, 0), "send");
  }

  /** False when the answer is not of one moment. */
  #receiveDump(visit: NetlinkVisitor): boolean {
    const { view } = this.#buffer;
    let interrupted = false;
    for (;;) {
      const length = this.#receive(0);
      if (length < 0) throw new SystemError("recv", length);
      for (let at = 0; at + HEADER_BYTES <= length; ) {
        const size = view.getUint32(at, true);
        if (size < HEADER_BYTES || at + size > length) throw new SystemError("netlink dump", Errno.EBADMSG);
        const type = view.getUint16(at + 4, true);
        if (view.getUint32(at + 8, true) === this.#sequence) {
          if ((view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0) interrupted = true;
          if (type === NetlinkMessage.done) return !interrupted;
          if (type === NetlinkMessage.error)
            throw new SystemError("netlink dump", view.getInt32(at + HEADER_BYTES, true));
          visit(type, view, at + HEADER_BYTES, at + size);
        }
        at += (size + 3) & ~3;
      }
    }
  }

  #receive(flags: number): number {
    const { address } = this.#buffer;
    for (;;) {
      const length = resultOf(libc.recv(this.#socket.fd, address, BUFFER_BYTES, flags | MSG_TRUNC));
      if (length === -Errno.EINTR) continue;
      return length > BUFFER_BYTES ? -Errno.EMSGSIZE : length;
    }
  }
}

/** Tells the visitor each attribute (struct rtattr) between `at` and `end`. */
export function visitAttributes(
  view: DataView,
  at: number,
  end: number,
  visit: (type: number, dataAt: number, lengthBytes: number) => void,
): void {
  while (at + 4 <= end) {
    const size = view.getUint16(at, true);
    if (size < 4 || at + size > end) return;
    // The two top bits of the type are flags (nested, byte order).
    visit(view.getUint16(at + 2, true) & 0x3fff, at + 4, size - 4);
    at += (size + 3) & ~3;
  }
}
