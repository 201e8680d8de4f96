// Our daemon on a tap, behind QEMU by vhost-user, beside the tap of QEMU itself: the same QEMU without KVM, the same kernel, card and
// interface, so that nothing differs but who moves the frames.

import { join } from "node:path";
import type { Daemon } from "../guests/daemon.ts";
import { Guest } from "../guests/guest.ts";
import { findKernel, type Kernel } from "../guests/image.ts";
import { debianQemu, vhostUserNetwork } from "../guests/qemu.ts";
import { addressGuest, addressHost, makeTap, noDhcp, tapHost4, tapName } from "../guests/tap-link.ts";
import type { TestBed } from "../guests/test-bed.ts";
import { createBenchBed } from "./bench-bed.ts";
import { type Side, streamsBeside } from "./beside.ts";
import type { Plan } from "./plan.ts";
import { cpuSecondsOf } from "./process-usage.ts";
import type { Row } from "./report.ts";

const mtu = 1500;
const memoryMiB = 512;

/** What moves the frames between the card and the interface. */
type Mover = "daemon" | "QEMU";

/** Of the card with the daemon behind it, and of the card that has a tap of QEMU's. */
const networkOf = (daemon: Daemon | null): string[] =>
  daemon === null
    ? ["-netdev", `tap,id=net,ifname=${tapName},script=no,downscript=no,vhost=off`]
    : vhostUserNetwork(daemon.socket);

/** A machine of QEMU's on an interface of a namespace of its own. */
class QemuOnTap implements Side, AsyncDisposable {
  readonly name: string;
  readonly guest: Guest;
  readonly address: string = tapHost4;
  readonly #bed: TestBed;
  readonly #daemon: Daemon | null;

  private constructor(mover: Mover, bed: TestBed, daemon: Daemon | null, guest: Guest) {
    this.name = mover === "QEMU" ? "QEMU's own tap" : "tap behind QEMU";
    this.#bed = bed;
    this.#daemon = daemon;
    this.guest = guest;
  }

  static async start(mover: Mover, kernel: Kernel, iperf: string): Promise<QemuOnTap> {
    const bed = await createBenchBed();
    let guest: Guest | null = null;
    try {
      bed.start([iperf, "-s"]);
      makeTap(bed.host, tapName, mtu);
      addressHost(bed.host, tapName);
      const daemon = mover === "QEMU" ? null : await bed.startDaemon(["--backend", `tap:${tapName}`]);
      guest = await Guest.boot({
        kernel,
        memoryMiB,
        socket: daemon?.socket ?? "",
        network: networkOf(daemon),
        host: bed.host,
        folder: join(bed.folder, "guest"),
        programs: [iperf],
        arguments: [noDhcp],
      });
      await addressGuest(guest);
      return new QemuOnTap(mover, bed, daemon, guest);
    } catch (error) {
      await guest?.kill();
      await bed[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of QEMU and the daemon together: QEMU's includes the guest's, and with a tap of its own the daemon's work as well. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.guest.program.pid) + (this.#daemon === null ? 0 : cpuSecondsOf(this.#daemon.program.pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest.kill();
    await this.#bed[Symbol.asyncDispose]();
  }
}

/** What these rows need, or what of it is missing. */
function findNeeds(): { readonly kernel: Kernel; readonly iperf: string } | { readonly missing: string } {
  const [qemu] = debianQemu.command;
  const iperf = Bun.which("iperf3");
  if (Bun.which(qemu) === null) return { missing: `no ${qemu}` };
  if (iperf === null) return { missing: "no iperf3" };
  try {
    const kernel = findKernel("qemu-debian");
    return "missing" in kernel ? kernel : { kernel, iperf };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}

/** One stream each way; without QEMU or a kernel of Debian's no rows, and a line that says so. */
export async function qemuTapRows(plan: Plan): Promise<Row[]> {
  const needs = findNeeds();
  if ("missing" in needs) {
    console.log(`bench: ${needs.missing}: no rows of QEMU's own tap`);
    return [];
  }
  await using ours = await QemuOnTap.start("daemon", needs.kernel, needs.iperf);
  await using qemus = await QemuOnTap.start("QEMU", needs.kernel, needs.iperf);
  return await streamsBeside(plan, [ours, qemus], mtu, "CPU s/GB, QEMU too");
}
