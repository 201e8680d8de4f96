import { writeIpv4Address } from "./ip-address.ts";
import { writeMac } from "./mac.ts";

/** Offsets in an ARP message for IPv4 over Ethernet, and its size (RFC 826). */
export const Arp = {
  hardwareType: 0,
  protocolType: 2,
  hardwareLength: 4,
  protocolLength: 5,
  operation: 6,
  senderMac: 8,
  senderAddress: 14,
  targetMac: 18,
  targetAddress: 24,
  messageBytes: 28,
} as const;

export const ArpOperation = { request: 1, reply: 2 } as const;

/** Hardware type 1 (Ethernet) and protocol type 0x0800; then the lengths 6 and 4. */
const ETHERNET_IPV4 = 0x0001_0800;
const LENGTHS = 0x0604;

/** The operation of the ARP message at `at`, or -1 when it is not all there before `end` or not for IPv4 over Ethernet. */
export function checkArp(view: DataView, at: number, end: number): number {
  if (end - at < Arp.messageBytes || view.getUint32(at) !== ETHERNET_IPV4) return -1;
  if (view.getUint16(at + Arp.hardwareLength) !== LENGTHS) return -1;
  return view.getUint16(at + Arp.operation);
}

/**
 * Writes an ARP message at `at`; returns the offset behind it.
 *
 * @param senderAddress words `senderAddressAt` to `senderAddressAt + 3` are it, IPv4-mapped; so for `targetAddress`.
 */
export function writeArp(
  view: DataView,
  at: number,
  operation: number,
  senderMac: Uint8Array,
  senderAddress: Uint32Array,
  senderAddressAt: number,
  targetMac: Uint8Array,
  targetAddress: Uint32Array,
  targetAddressAt: number,
): number {
  view.setUint32(at, ETHERNET_IPV4);
  view.setUint16(at + Arp.hardwareLength, LENGTHS);
  view.setUint16(at + Arp.operation, operation);
  writeMac(view, at + Arp.senderMac, senderMac);
  writeIpv4Address(view, at + Arp.senderAddress, senderAddress, senderAddressAt);
  writeMac(view, at + Arp.targetMac, targetMac);
  writeIpv4Address(view, at + Arp.targetAddress, targetAddress, targetAddressAt);
  return at + Arp.messageBytes;
}
