// What happens to a link in the middle of its traffic.

import { createMemoryFile } from "@passt-ts/linux/memory-file";
import type { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { memoryTableRequest } from "@passt-ts/vhost-user-proto/front-end";
import type { MemoryRegion } from "@passt-ts/vhost-user-proto/payload";
import { arp } from "../../conformance/frames.ts";
import { gateway4, host4 } from "../../conformance/host.ts";
import type { Random } from "../../fuzz/random.ts";
import type { GuestLink } from "../../matrix/guest-link.ts";
import { damage } from "./ring-damage.ts";

const PAGE = 4096;
const REGIONS_MAX = 8;
/** As long as a ring is given to break; not all that is done to it breaks it. */
const BREAK_MS = 100;

/** Both rings stop, and go on where they were. */
function restartRings(guest: TestFrontEnd): void {
  const rings = [guest.rx, guest.tx];
  const bases = rings.map((ring) => guest.stopRing(ring));
  for (const [i, ring] of rings.entries()) guest.resumeRing(ring, bases[i]);
}

/** A region cut in two behind the rings, where the table has room for one more. */
function cutTable(guest: TestFrontEnd, random: Random): MemoryRegion[] {
  const { table } = guest.ram;
  const last = table[table.length - 1];
  const pages = Number(last.sizeBytes) / PAGE;
  const keptPages = Math.floor(pages / 2) + random.below(Math.floor(pages / 2) - 1) + 1;
  if (table.length === REGIONS_MAX) return table;
  const kept = BigInt(keptPages * PAGE);
  const rest = {
    guestAddress: last.guestAddress + kept,
    userAddress: last.userAddress + kept,
    mmapOffset: last.mmapOffset + kept,
    sizeBytes: last.sizeBytes - kept,
  };
  return [...table.slice(0, -1), { ...last, sizeBytes: kept }, rest];
}

function setTable({ session, ram }: TestFrontEnd, table: readonly MemoryRegion[]): void {
  session.setMemory(
    table,
    table.map(() => ram.file.fd),
  );
}

/** The guest's memory is another file elsewhere for a moment: its rings are nowhere, and come back. */
function replaceMemory(guest: TestFrontEnd): void {
  const file = createMemoryFile("other-ram", 16 * PAGE);
  const [{ guestAddress }] = guest.ram.table;
  const other = { guestAddress, userAddress: 0x1000_0000n, mmapOffset: 0n, sizeBytes: BigInt(16 * PAGE) };
  guest.session.setMemory([other], [file.fd]);
  file.close();
  guest.shareMemory();
  restartRings(guest);
}

/** What happens to a front-end. */
type Act = (guest: TestFrontEnd, random: Random) => void;

/** Disturbances that cost no flow: what is under way goes on, while the rings run ... */
export const passing: Readonly<Record<string, Act>> = {
  "the same memory again": (guest) => guest.shareMemory(),
  "the same memory in other pieces": (guest, random) => setTable(guest, cutTable(guest, random)),
};

/** ... or after they stood still, when nobody can connect to the guest. */
export const stopping: Readonly<Record<string, Act>> = {
  "rings that stop and go on": restartRings,
  "other memory for a moment": replaceMemory,
};

/** Gone without a word, or in the middle of one. */
export const endings: Readonly<Record<string, Act>> = {
  closed: (guest) => guest.disconnect(),
  "closed in the middle of a message": (guest, random) => {
    const message = memoryTableRequest(guest.ram.table, true);
    const cut = 1 + random.below(message.length - 1);
    guest.control.send(
      message.subarray(0, cut),
      guest.ram.table.map(() => guest.ram.file.fd),
    );
    guest.disconnect();
  },
  "closed with frames in the ring": (guest) => {
    const frame = arp({ sender: host4, target: gateway4 });
    for (let i = 0; i < 8 && guest.tx.queue.freeCount > 0; i++) {
      guest.tx.send(frame, []);
      guest.tx.queue.publish();
    }
    guest.tx.kickAnyway();
    guest.disconnect();
  },
};

/** What a front-end does before the driver begins anew. */
const resets: readonly Act[] = [
  () => {},
  ({ session }) => session.setStatus(0),
  (guest) => {
    guest.session.resetDevice();
    guest.session.setFeatures(guest.features);
    guest.shareMemory();
  },
];

/**
 * Breaks a ring, and starts both anew as a driver does that was reset.
 *
 * @returns what was done, and whether the daemon found the ring broken.
 */
export async function breakRing(link: GuestLink, random: Random): Promise<{ what: string; broke: boolean }> {
  const { frontEnd } = link;
  const ring = random.chance(0.5) ? frontEnd.rx : frontEnd.tx;
  // Something to receive, so that the ring is looked at.
  for (let i = 0; i < 4; i++) await link.send({ bytes: arp({ sender: host4, target: gateway4 }) });
  const what = damage(frontEnd, ring, random);
  if (ring === frontEnd.rx) {
    frontEnd.tx.send(arp({ sender: host4, target: gateway4 }), []);
    frontEnd.tx.kick();
  }
  const endMs = performance.now() + BREAK_MS;
  let broke = false;
  while (!broke && performance.now() < endMs) {
    await Bun.sleep(1);
    broke = ring.takeErrors() > 0;
  }
  random.pick(resets)(frontEnd, random);
  link.restart(link.one);
  for (const each of [frontEnd.rx, frontEnd.tx]) each.takeErrors();
  return { what, broke };
}
