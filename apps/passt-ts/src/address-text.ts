import ipaddr from "ipaddr.js";
import { parseNumber } from "./number-option.ts";
import { UsageError } from "./usage-error.ts";

/** An IP address as four 32-bit words, IPv4 as ::ffff:a.b.c.d. */
export type AddressWords = Uint32Array;

/** An IPv4 address in an IPv6 one in a way that has been given up (RFC 4291 section 2.5.5.1), which our library takes for a mapped one. */
const IPV4_COMPATIBLE = /^::\d+\./;

/** True for an address whose words are IPv4-mapped. */
export const isIpv4 = (words: AddressWords): boolean => words[0] === 0 && words[1] === 0 && words[2] === 0xffff;

/** The words of a textual IPv4 or IPv6 address, which may stand in brackets. @throws UsageError */
export function parseAddress(text: string, what: string): AddressWords {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return wordsOf([...MAPPED_PREFIX, ...ipaddr.IPv4.parse(bare).octets]);
  if (bare.includes(":") && !bare.includes("%") && !IPV4_COMPATIBLE.test(bare) && ipaddr.IPv6.isValid(bare)) {
    // One that is IPv4-mapped has the words of the IPv4 address that it means.
    return wordsOf(ipaddr.IPv6.parse(bare).toByteArray());
  }
  throw new UsageError(`${what}: '${text}' is not an IPv4 or IPv6 address`);
}

/** The usual text of an address. */
export function formatAddress(words: AddressWords): string {
  const bytes = [...words].flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
  return isIpv4(words) ? bytes.slice(12).join(".") : ipaddr.fromByteArray(bytes).toString();
}

/** True for an address that a host can have and that others can reach it by. */
export function isUsableUnicast(words: AddressWords): boolean {
  return !["unspecified", "loopback", "multicast", "broadcast"].includes(ipaddr.parse(formatAddress(words)).range());
}

/** True for an address that stands for a group or for everybody. */
export function isMulticastOrBroadcast(words: AddressWords): boolean {
  return ["multicast", "broadcast"].includes(ipaddr.parse(formatAddress(words)).range());
}

/** True for an address of the host itself, which no wire carries. */
export function isLoopback(words: AddressWords): boolean {
  return ipaddr.parse(formatAddress(words)).range() === "loopback";
}

/** Bits of a netmask given as a number 0-32 or in dotted form. @throws UsageError */
export function parseNetmask(text: string, what: string): number {
  const number = parseNumber(text);
  if (number <= 32) return number;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    const bits = ipaddr.IPv4.parse(text).prefixLengthFromSubnetMask();
    if (bits !== null) return bits;
  }
  throw new UsageError(`${what}: '${text}' is neither a contiguous netmask nor a number of bits from 0 to 32`);
}

/** The six bytes of a MAC address, two digits each, with colons between them. @throws UsageError */
export function parseMac(text: string, what: string): Uint8Array {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) throw new UsageError(`${what}: '${text}' is not a MAC address`);
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** The usual text of a MAC address. */
export const formatMac = (mac: Uint8Array): string =>
  [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

const MAPPED_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];

function wordsOf(bytes: readonly number[]): AddressWords {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  return Uint32Array.of(view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12));
}
