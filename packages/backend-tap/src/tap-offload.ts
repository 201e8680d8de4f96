import { TapOffload } from "@passt-ts/linux/tap-device";
import { Capability } from "@passt-ts/net-backend/backend";
import type { TapPort } from "./tap-port.ts";

const GIVES_TSO: number = Capability.givesTso4 | Capability.givesTso6;
const GIVES: number = Capability.givesPartialChecksum | GIVES_TSO | Capability.givesUso;
const GIVES_NEEDING_CHECKSUM: number = GIVES_TSO | Capability.givesUso;
const TAKES_TSO: number = Capability.takesTso4 | Capability.takesTso6;

/** From the most to the least that a kernel may know: UDP segmentation came with Linux 6.2. */
const CANDIDATES: readonly number[] = [
  GIVES | Capability.takesPartialChecksum | TAKES_TSO | Capability.takesUso,
  (GIVES & ~Capability.givesUso) | Capability.takesPartialChecksum | TAKES_TSO,
  Capability.givesPartialChecksum | Capability.takesPartialChecksum,
];

/** The bits of `TapOffload` for what a guest takes, bits of `Capability`; -1 for a segmentation without checksums. */
export function tapOffloadOf(capabilities: number): number {
  if ((capabilities & Capability.givesPartialChecksum) === 0) {
    return (capabilities & GIVES_NEEDING_CHECKSUM) === 0 ? 0 : -1;
  }
  let bits: number = TapOffload.checksum;
  if ((capabilities & Capability.givesTso4) !== 0) bits |= TapOffload.tso4;
  if ((capabilities & Capability.givesTso6) !== 0) bits |= TapOffload.tso6;
  if ((capabilities & Capability.givesUso) !== 0) bits |= TapOffload.uso4 | TapOffload.uso6;
  return bits;
}

/**
 * The capabilities of a tap, found by trial; it takes no offload afterwards. None without a header in front of its
 * frames, which is where an offload is asked for.
 */
export function probeCapabilities(port: TapPort): number {
  if (!port.hasHeader) return 0;
  const known = CANDIDATES.find((capabilities) => port.setOffload(tapOffloadOf(capabilities)) === 0) ?? 0;
  port.setOffload(0);
  return known;
}
