import { NativeBuffer } from "./native-buffer.ts";
import { AF_INET, AF_INET6 } from "./socket-constants.ts";

/** Bytes of a sockaddr_in and of a sockaddr_in6. */
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
/** Room that one address takes in a table: a sockaddr_in6, rounded up. */
export const SOCKADDR_SLOT_BYTES = 32;

const MAPPED_PREFIX = 0xffff;

/** The four words at `wordsAt` are an IPv4-mapped address (::ffff:a.b.c.d). */
export function isIpv4Mapped(words: Uint32Array, wordsAt = 0): boolean {
  return words[wordsAt] === 0 && words[wordsAt + 1] === 0 && words[wordsAt + 2] === MAPPED_PREFIX;
}

/** Writes a sockaddr_in at `at`: the address is the last of the four words. Returns its length in bytes. */
export function writeSockaddrIn(view: DataView, at: number, words: Uint32Array, wordsAt: number, port: number): number {
  view.setUint16(at, AF_INET, true);
  view.setUint16(at + 2, port);
  view.setUint32(at + 4, words[wordsAt + 3]);
  view.setUint32(at + 8, 0);
  view.setUint32(at + 12, 0);
  return SOCKADDR_IN_BYTES;
}

/** Writes a sockaddr_in6 at `at`. Returns its length in bytes. */
export function writeSockaddrIn6(
  view: DataView,
  at: number,
  words: Uint32Array,
  wordsAt: number,
  port: number,
  scopeId: number,
): number {
  view.setUint16(at, AF_INET6, true);
  view.setUint16(at + 2, port);
  view.setUint32(at + 4, 0);
  view.setUint32(at + 8, words[wordsAt]);
  view.setUint32(at + 12, words[wordsAt + 1]);
  view.setUint32(at + 16, words[wordsAt + 2]);
  view.setUint32(at + 20, words[wordsAt + 3]);
  view.setUint32(at + 24, scopeId, true);
  return SOCKADDR_IN6_BYTES;
}

/** Address family at `at`, AF_*. */
export function sockaddrFamily(view: DataView, at: number): number {
  return view.getUint16(at, true);
}

/** Port of the internet address at `at`, in host order. */
export function sockaddrPort(view: DataView, at: number): number {
  return view.getUint16(at + 2);
}

/** Interface index that a link-local IPv6 address at `at` belongs to, 0 for others. */
export function sockaddrScopeId(view: DataView, at: number): number {
  return view.getUint16(at, true) === AF_INET6 ? view.getUint32(at + 24, true) : 0;
}

/** Reads the address at `at` as four words, IPv4 as IPv4-mapped; all zero and false for another family. */
export function readSockaddrWords(view: DataView, at: number, out: Uint32Array, outAt: number): boolean {
  const family = view.getUint16(at, true);
  if (family === AF_INET6) {
    out[outAt] = view.getUint32(at + 8);
    out[outAt + 1] = view.getUint32(at + 12);
    out[outAt + 2] = view.getUint32(at + 16);
    out[outAt + 3] = view.getUint32(at + 20);
    return true;
  }
  out[outAt] = 0;
  out[outAt + 1] = 0;
  out[outAt + 2] = family === AF_INET ? MAPPED_PREFIX : 0;
  out[outAt + 3] = family === AF_INET ? view.getUint32(at + 4) : 0;
  return family === AF_INET;
}

/** Where the socklen_t that the kernel reads and writes lies, behind the address. */
const LENGTH_AT = 32;

/** An internet address and port in the kernel's form: made once, set or filled by a call as often as needed. */
export class SocketAddress {
  readonly #native: NativeBuffer = new NativeBuffer(40);
  readonly address: number;
  readonly lengthAddress: number;

  constructor() {
    this.address = this.#native.address;
    this.lengthAddress = this.#native.address + LENGTH_AT;
  }

  /** The bytes of the sockaddr. */
  get view(): DataView {
    return this.#native.view;
  }

  /** Length of the sockaddr in bytes; 0 when nothing was set. */
  get lengthBytes(): number {
    return this.#native.words[LENGTH_AT / 4];
  }

  /** AF_INET, AF_INET6, or what a call filled in. */
  get family(): number {
    return sockaddrFamily(this.#native.view, 0);
  }

  /** In host order. */
  get port(): number {
    return sockaddrPort(this.#native.view, 0);
  }

  /** Interface index of a link-local IPv6 address. */
  get scopeId(): number {
    return sockaddrScopeId(this.#native.view, 0);
  }

  /** Sets an AF_INET address when the four words are IPv4-mapped, an AF_INET6 address otherwise. */
  set(words: Uint32Array, port: number, scopeId = 0): this {
    if (!isIpv4Mapped(words)) return this.setIpv6(words, port, scopeId);
    this.#native.words[LENGTH_AT / 4] = writeSockaddrIn(this.#native.view, 0, words, 0, port);
    return this;
  }

  /** Sets an AF_INET6 address, also for IPv4-mapped words: what a dual-stack socket wants. */
  setIpv6(words: Uint32Array, port: number, scopeId = 0): this {
    this.#native.words[LENGTH_AT / 4] = writeSockaddrIn6(this.#native.view, 0, words, 0, port, scopeId);
    return this;
  }

  /** Reads the address as four words, IPv4 as IPv4-mapped; false and all zero for another family. */
  words(out: Uint32Array, outAt = 0): boolean {
    return readSockaddrWords(this.#native.view, 0, out, outAt);
  }

  /** Copies the sockaddr to `words` from `at` on; 8 words of room. */
  copyTo(words: Uint32Array, at: number): void {
    const from = this.#native.words;
    for (let i = 0; i < 8; i++) words[at + i] = from[i];
  }

  /** Makes room for an address that a call fills in. */
  expect(): this {
    this.#native.words[LENGTH_AT / 4] = LENGTH_AT;
    this.#native.words[0] = 0;
    return this;
  }
}
