/** MAC addresses: six bytes of a header, a Uint8Array(6) in memory. */

/** Bytes of a MAC address. */
export const MAC_BYTES = 6;

/** Copies the MAC address at `at` of `view` into `out`. */
export function readMac(view: DataView, at: number, out: Uint8Array): void {
  for (let i = 0; i < MAC_BYTES; i++) out[i] = view.getUint8(at + i);
}

/** Writes `mac` at `at` of `view`. */
export function writeMac(view: DataView, at: number, mac: Uint8Array): void {
  for (let i = 0; i < MAC_BYTES; i++) view.setUint8(at + i, mac[i]);
}

/** Whether the MAC address at `at` of `view` is `mac`. */
export function isMac(view: DataView, at: number, mac: Uint8Array): boolean {
  for (let i = 0; i < MAC_BYTES; i++) if (view.getUint8(at + i) !== mac[i]) return false;
  return true;
}

/** Whether the MAC address at `at` of `view` names a group: the broadcast address or a multicast one. */
export function isGroupMac(view: DataView, at: number): boolean {
  return (view.getUint8(at) & 1) !== 0;
}

/** Puts the MAC address of the IPv6 multicast group `address`, four words, into `out` (RFC 2464 section 7). */
export function multicastMacOf(address: Uint32Array, out: Uint8Array): void {
  out[0] = 0x33;
  out[1] = 0x33;
  for (let i = 0; i < 4; i++) out[2 + i] = address[3] >>> (24 - 8 * i);
}
