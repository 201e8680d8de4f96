// What a Linux driver in QEMU can be: each row is a card with its options, and what driver and device then agree on.

import { expect } from "bun:test";
import { VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import type { Daemon } from "./daemon.ts";
import type { Guest, GuestOptions } from "./guest.ts";
import type { Kernel } from "./image.ts";
import { gateway4, host4 } from "./namespace.ts";
import { echoPort } from "./ports.ts";
import { TestBed } from "./test-bed.ts";
import { transfer } from "./transfer.ts";

/** Features that rows turn on and off. */
const features = ["VERSION_1", "RING_PACKED", "IN_ORDER", "INDIRECT_DESC", "EVENT_IDX", "MRG_RXBUF"] as const;

export interface DriverRow {
  /** For the name of a test. */
  readonly driver: string;
  /** Options of the card. */
  readonly card: string;
  /** Those of the features that are agreed on, and none of the others. */
  readonly agreed: readonly (typeof features)[number][];
  /** Descriptors of its rings. */
  readonly rings: { readonly receive: number; readonly transmit: number };
  readonly memory: { readonly sizeMiB: number; readonly regions: number };
}

/** What the rows' guests boot. */
export type Machine = { readonly kernel: Kernel } & Pick<GuestOptions, "qemu">;

const guestPort = 5001;
const streamBytes = 4 * 2 ** 20;
/** One byte, an odd length, a frame's fill, several frames of 1500, and one that fills many short buffers. */
const datagramBytes = [1, 333, 1472, 9000, 60_000];
const complaint = /^(?:warning|error): .*$/gm;
/** Said at the start by a daemon that root started. */
const expectedWarning = /started as root/;

/** All that a daemon complains about in its log. */
export function complaintsIn(log: string): string[] {
  return [...log.matchAll(complaint)].map(([line]) => line).filter((line) => !expectedWarning.test(line));
}

/** Ring features by what the guest's kernel says that its driver has taken. */
async function featuresOfGuest(guest: Guest): Promise<string[]> {
  const bits = await guest.must("cat /sys/class/net/eth0/device/features");
  return features.filter((name) => bits[VirtioFeature[name]] === "1");
}

/** Ring features that the daemon's log says were agreed on last. */
function featuresOfDaemon(daemon: Daemon): string[] {
  const [, names] = [...daemon.log.matchAll(/^[\d.]+: features: (.*)$/gm)].at(-1) ?? [];
  return features.filter((name) => names?.split(" ").includes(name));
}

/** Requests and answers over UDP, from the guest to the host's loopback and from there to the guest; both compare the bytes. */
async function exchangeDatagrams(bed: TestBed, guest: Guest): Promise<void> {
  const times = 5;
  for (const bytes of datagramBytes) {
    expect(await guest.must(`traffic ask udp ${gateway4} ${echoPort} ${bytes} ${times}`)).toBe(`answered ${times}`);
    const fromHost = [bed.traffic, "ask", "udp", "127.0.0.1", String(guestPort), String(bytes), String(times)];
    expect(bed.host.run(fromHost)).toBe(`answered ${times}\n`);
  }
}

/** Boots a guest with this card, and holds that its network works, that the features are those meant, and that nobody complains. */
export async function exerciseDriver(row: DriverRow, machine: Machine): Promise<void> {
  await using bed = await TestBed.create();
  const port = String(guestPort);
  const daemon = await bed.startDaemon(["-d", "--offload", "all,packed,in-order", "-t", port, "-u", port]);
  const { sizeMiB, regions } = row.memory;
  const guest = await bed.boot(machine.kernel, daemon, { ...machine, card: `,${row.card}`, memoryMiB: sizeMiB });
  await guest.must(`traffic serve ${guestPort} >/dev/null 2>&1 &`);

  expect(await featuresOfGuest(guest)).toEqual([...row.agreed]);
  expect(featuresOfDaemon(daemon)).toEqual([...row.agreed]);
  expect(await guest.must("traffic rings eth0")).toBe(`${row.rings.receive} ${row.rings.transmit}`);
  // Linux takes memory above 4 GiB first, where there is any, for rings and buffers alike.
  expect(daemon.log).toContain(`guest memory: ${regions} regions, ${sizeMiB} MiB`);

  expect((await guest.lease()).ip).toBe(host4);
  expect(await guest.must(`ping -c 3 -i 0.2 -W 5 ${gateway4}`)).toContain("3 packets received, 0% packet loss");
  for (const direction of ["to the host", "to the guest"] as const) {
    const what = { direction, address: gateway4, connections: 2, totalBytes: streamBytes };
    await transfer(guest, { ...what, timeoutMs: 60_000 });
  }
  await exchangeDatagrams(bed, guest);

  expect(await guest.receiveErrors()).toEqual({});
  await guest.powerOff();
  expect(await daemon.stop()).toBe(0);
  expect(complaintsIn(daemon.log)).toEqual([]);
}
