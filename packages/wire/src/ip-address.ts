/**
 * IP addresses in headers and in memory. In memory an address is four words of a Uint32Array, word 0 the first four
 * bytes; an IPv4 address is the IPv4-mapped one (RFC 4291 section 2.5.5.2).
 */

/** Word 2 of an IPv4-mapped address. */
export const IPV4_MAPPED_WORD = 0xffff;

/** Reads the IPv4 address at `at` into words `outAt` to `outAt + 3`. */
export function readIpv4Address(view: DataView, at: number, out: Uint32Array, outAt: number): void {
  out[outAt] = 0;
  out[outAt + 1] = 0;
  out[outAt + 2] = IPV4_MAPPED_WORD;
  out[outAt + 3] = view.getUint32(at);
}

/** Reads the IPv6 address at `at` into words `outAt` to `outAt + 3`. */
export function readIpv6Address(view: DataView, at: number, out: Uint32Array, outAt: number): void {
  for (let i = 0; i < 4; i++) out[outAt + i] = view.getUint32(at + 4 * i);
}

/** Writes the IPv4 address of words `wordsAt` to `wordsAt + 3`, four bytes, at `at`. */
export function writeIpv4Address(view: DataView, at: number, words: Uint32Array, wordsAt: number): void {
  view.setUint32(at, words[wordsAt + 3]);
}

/** Writes the IPv6 address of words `wordsAt` to `wordsAt + 3`, sixteen bytes, at `at`. */
export function writeIpv6Address(view: DataView, at: number, words: Uint32Array, wordsAt: number): void {
  for (let i = 0; i < 4; i++) view.setUint32(at + 4 * i, words[wordsAt + i]);
}

/** Whether the IPv6 address at `at` is that of words `wordsAt` to `wordsAt + 3`. */
export function isIpv6Address(view: DataView, at: number, words: Uint32Array, wordsAt: number): boolean {
  for (let i = 0; i < 4; i++) if (view.getUint32(at + 4 * i) !== words[wordsAt + i]) return false;
  return true;
}

/** Whether the IPv6 address at `at` names a group (RFC 4291 section 2.7). */
export function isMulticastIpv6(view: DataView, at: number): boolean {
  return view.getUint8(at) === 0xff;
}

/** Whether the IPv6 address at `at` is `::`. */
export function isUnspecifiedIpv6(view: DataView, at: number): boolean {
  return (view.getUint32(at) | view.getUint32(at + 4) | view.getUint32(at + 8) | view.getUint32(at + 12)) === 0;
}
