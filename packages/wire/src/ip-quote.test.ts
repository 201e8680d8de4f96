import { expect, test } from "bun:test";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { IP_QUOTE_WORDS, keepIpWords, restoreIpWords } from "./ip-quote.ts";
import { Ipv4, writeIpv4 } from "./ipv4.ts";
import { Ipv6, writeIpv6 } from "./ipv6.ts";

const SOURCE4 = Uint32Array.of(0, 0, 0xffff, 0x0a000002);
const PEER4 = Uint32Array.of(0, 0, 0xffff, 0xc0000201);
const SOURCE6 = Uint32Array.of(0x20010db8, 0, 0, 2);
const PEER6 = Uint32Array.of(0x20010db8, 1, 0, 7);
const POISON = 0xa5;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);

test("an IPv4 header built anew is the guest's own again: type of service, identification, flags, checksum", () => {
  const sent = new Uint8Array(Ipv4.headerBytes);
  writeIpv4(viewOf(sent), 0, 100, 17, 7, SOURCE4, 0, PEER4, 0);
  sent.set([0x45, 0xb8], 0);
  sent.set([0x12, 0x34, 0x40, 0x00], Ipv4.identification);
  sent.set([0, 0], Ipv4.checksum);
  viewOf(sent).setUint16(Ipv4.checksum, checksumBytes(viewOf(sent), 0, sent.length));
  const words = new Uint32Array(1 + IP_QUOTE_WORDS).fill(0xdddddddd);
  keepIpWords(viewOf(sent), 0, 4, words, 1);
  expect(words[0]).toBe(0xdddddddd);
  const quote = new Uint8Array(Ipv4.headerBytes + 4).fill(POISON);
  writeIpv4(viewOf(quote), 2, 100, 17, 7, SOURCE4, 0, PEER4, 0);
  restoreIpWords(viewOf(quote), 2, 4, words, 1);
  expect([...quote]).toEqual([POISON, POISON, ...sent, POISON, POISON]);
});

test("an IPv6 header built anew is the guest's own again: traffic class and flow label", () => {
  const sent = new Uint8Array(Ipv6.headerBytes);
  writeIpv6(viewOf(sent), 0, 100, 17, 7, 0, SOURCE6, 0, PEER6, 0);
  viewOf(sent).setUint32(0, 0x6b8a_bcde);
  const words = new Uint32Array(IP_QUOTE_WORDS);
  keepIpWords(viewOf(sent), 0, 6, words, 0);
  const quote = new Uint8Array(Ipv6.headerBytes + 1).fill(POISON);
  writeIpv6(viewOf(quote), 0, 100, 17, 7, 0, SOURCE6, 0, PEER6, 0);
  restoreIpWords(viewOf(quote), 0, 6, words, 0);
  expect([...quote]).toEqual([...sent, POISON]);
});
