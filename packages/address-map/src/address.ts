/**
 * Addresses as 4 words of 32 bits in a Uint32Array, most significant first; IPv4 as IPv4-mapped IPv6 (RFC 4291,
 * 2.5.5.2). Each function takes the index of the first word; none checks bounds.
 */

/** An address of one family, or of the other. */
export type IpVersion = 4 | 6;

const MAPPED = 0xffff;

/** `127.0.0.1`. */
export function loopback4(): Uint32Array {
  return Uint32Array.of(0, 0, MAPPED, 0x7f000001);
}

/** `::1`. */
export function loopback6(): Uint32Array {
  return Uint32Array.of(0, 0, 0, 1);
}

/** An IPv4 address, given as its 32-bit value. */
export function ipv4Words(value: number): Uint32Array {
  return Uint32Array.of(0, 0, MAPPED, value);
}

export function isIpv4Mapped(words: Uint32Array, at: number): boolean {
  return words[at + 2] === MAPPED && words[at] === 0 && words[at + 1] === 0;
}

/** `127.0.0.0/8` or `::1`. */
export function isLoopback(words: Uint32Array, at: number): boolean {
  if (words[at] !== 0 || words[at + 1] !== 0) return false;
  if (words[at + 2] === MAPPED) return words[at + 3] >>> 24 === 127;
  return words[at + 2] === 0 && words[at + 3] === 1;
}

/** `169.254.0.0/16` or `fe80::/10`. */
export function isLinkLocal(words: Uint32Array, at: number): boolean {
  if (isIpv4Mapped(words, at)) return words[at + 3] >>> 16 === 0xa9fe;
  return words[at] >>> 22 === 0xfe80 >>> 6;
}

/** `224.0.0.0/4` or `ff00::/8`. */
export function isMulticast(words: Uint32Array, at: number): boolean {
  if (isIpv4Mapped(words, at)) return words[at + 3] >>> 28 === 14;
  return words[at] >>> 24 === 0xff;
}

/** `0.0.0.0` or `::`. */
export function isUnspecified(words: Uint32Array, at: number): boolean {
  if (words[at] !== 0 || words[at + 1] !== 0 || words[at + 3] !== 0) return false;
  return words[at + 2] === 0 || words[at + 2] === MAPPED;
}

/** `255.255.255.255`; the broadcast address of a subnet is only known to whoever knows its mask. */
export function isBroadcast(words: Uint32Array, at: number): boolean {
  return isIpv4Mapped(words, at) && words[at + 3] === 0xffffffff;
}

export function equals(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  return a[aAt + 3] === b[bAt + 3] && a[aAt] === b[bAt] && a[aAt + 1] === b[bAt + 1] && a[aAt + 2] === b[bAt + 2];
}

/** Copies one address to `out`. */
export function copy(out: Uint32Array, outAt: number, words: Uint32Array, at: number): void {
  for (let i = 0; i < 4; i++) out[outAt + i] = words[at + i];
}

/** Reads the 4 bytes at `at` of `view` to `out`. */
export function readIpv4(view: DataView, at: number, out: Uint32Array, outAt = 0): void {
  out[outAt] = 0;
  out[outAt + 1] = 0;
  out[outAt + 2] = MAPPED;
  out[outAt + 3] = view.getUint32(at);
}

/** Reads the 16 bytes at `at` of `view` to `out`. */
export function readIpv6(view: DataView, at: number, out: Uint32Array, outAt = 0): void {
  for (let i = 0; i < 4; i++) out[outAt + i] = view.getUint32(at + 4 * i);
}

/** Writes the 4 bytes of an IPv4-mapped address to `view`. */
export function writeIpv4(view: DataView, at: number, words: Uint32Array, wordsAt: number): void {
  view.setUint32(at, words[wordsAt + 3]);
}

/** Writes the 16 bytes of an address to `view`. */
export function writeIpv6(view: DataView, at: number, words: Uint32Array, wordsAt: number): void {
  for (let i = 0; i < 4; i++) view.setUint32(at + 4 * i, words[wordsAt + i]);
}
