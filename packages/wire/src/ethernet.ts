import { writeMac } from "./mac.ts";

/** Offsets in an Ethernet II header, and its size. */
export const Ethernet = { destination: 0, source: 6, etherType: 12, headerBytes: 14 } as const;

/** What an Ethernet II frame carries (IEEE 802 numbers). */
export const EtherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

/** The shortest Ethernet frame, without the frame check sequence. */
export const ETHERNET_BYTES_MIN = 60;

/** The EtherType of the header at `at`, of which {@link Ethernet.headerBytes} bytes must be there. */
export function etherTypeAt(view: DataView, at: number): number {
  return view.getUint16(at + Ethernet.etherType);
}

/** Writes an Ethernet II header at `at`; returns the offset behind it. */
export function writeEthernet(
  view: DataView,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  etherType: number,
): number {
  writeMac(view, at + Ethernet.destination, destination);
  writeMac(view, at + Ethernet.source, source);
  view.setUint16(at + Ethernet.etherType, etherType);
  return at + Ethernet.headerBytes;
}
