import { checksumBytes } from "@passt-ts/checksum/checksum";
import { Ipv4 } from "./ipv4.ts";

/** Words of {@link keepIpWords} for each packet. */
export const IP_QUOTE_WORDS = 2;

const TYPE_OF_SERVICE_MASK = 0x00ff_0000;
const CLASS_AND_FLOW_MASK = 0x0fff_ffff;

/**
 * Keeps what an ICMP error has to quote of an IP header and what addresses, lengths and TTL do not say: type of
 * service, identification and flags of IPv4; traffic class and flow label of IPv6.
 *
 * @param at place of the IP header, which was checked.
 * @param words gets {@link IP_QUOTE_WORDS} words from `wordsAt` on.
 */
export function keepIpWords(view: DataView, at: number, ipVersion: number, words: Uint32Array, wordsAt: number): void {
  const first = view.getUint32(at);
  words[wordsAt] = ipVersion === 4 ? first & TYPE_OF_SERVICE_MASK : first & CLASS_AND_FLOW_MASK;
  words[wordsAt + 1] = ipVersion === 4 ? view.getUint32(at + Ipv4.identification) : 0;
}

/** Puts what {@link keepIpWords} kept into the header that writeIpv4 or writeIpv6 wrote at `at`. */
export function restoreIpWords(
  view: DataView,
  at: number,
  ipVersion: number,
  words: Uint32Array,
  wordsAt: number,
): void {
  if (ipVersion === 6) {
    view.setUint32(at, 0x6000_0000 | words[wordsAt]);
    return;
  }
  view.setUint8(at + Ipv4.typeOfService, words[wordsAt] >>> 16);
  view.setUint32(at + Ipv4.identification, words[wordsAt + 1]);
  view.setUint16(at + Ipv4.checksum, 0);
  view.setUint16(at + Ipv4.checksum, checksumBytes(view, at, at + Ipv4.headerBytes));
}
