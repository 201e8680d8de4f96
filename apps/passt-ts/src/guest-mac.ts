/**
 * The MAC address offered to the guest when none is asked for: a local unicast one, the same at each start, derived
 * from the machine and the socket so that guests of one host differ, and never equal to ours.
 */
export function deriveGuestMac(machineId: string, socketPath: string, ourMac: Uint8Array): Uint8Array {
  for (let attempt = 0; ; attempt++) {
    // Not node:crypto, whose modules take 1.5 MB.
    const hasher = new Bun.CryptoHasher("sha256");
    const digest = hasher.update(`passt-ts guest mac\0${machineId}\0${socketPath}\0${attempt}`).digest();
    const mac = new Uint8Array(digest.subarray(0, 6));
    // IEEE 802: bit 0 of the first byte is multicast, bit 1 locally administered.
    mac[0] = (mac[0] & 0xfc) | 0x02;
    if (mac.some((byte, i) => byte !== ourMac[i])) return mac;
  }
}
