// Real guests: a kernel, its console, and shell scripts that run inside and tell what they said.

import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildInitramfs, cacheFolder, type Kernel } from "./image.ts";
import { unpackedKernel } from "./kernel-image.ts";
import type { HostNamespace } from "./namespace.ts";
import { Program } from "./process.ts";
import { type Qemu, qemuCommand, vhostUserNetwork } from "./qemu.ts";

export interface GuestOptions {
  readonly kernel: Kernel;
  /** Socket of the daemon; of no meaning where `network` is given. */
  readonly socket: string;
  /** Folder for the guest's files. */
  readonly folder: string;
  readonly programs: readonly string[];
  readonly memoryMiB?: number;
  /** Further options of the virtual machine's network card or of the kernel's command line. */
  readonly card?: string;
  readonly arguments?: readonly string[];
  /** QEMU only: which one, and its arguments for the network device "net" where it is not the socket's. */
  readonly qemu?: Qemu;
  readonly network?: readonly string[];
  /** Where the virtual machine is started; default: outside of the namespace. */
  readonly host?: HostNamespace;
  /** Processors of the virtual machine; default: any. */
  readonly processors?: string | null;
}

export interface ScriptResult {
  readonly status: number;
  readonly output: string;
}

// QEMU translates instructions here, which is many times slower than User-Mode Linux.
const bootTimeoutMs = { uml: 60_000, qemu: 180_000 };

/** UML keeps guest memory in a file; /dev/shm is small in some containers. */
function sharedMemoryFolder(folder: string, memoryMiB: number): Record<string, string> {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (bavail * bsize > memoryMiB * 1.5 * 2 ** 20) return {};
  } catch {
    // No /dev/shm at all.
  }
  return { TMPDIR: folder };
}

function umlCommand(options: GuestOptions, initramfs: string, memoryMiB: number): string[] {
  return [
    options.kernel.executable,
    `mem=${memoryMiB}M`,
    `initrd=${initramfs}`,
    "root=/dev/ram0",
    "rdinit=/init",
    `virtio_uml.device=${options.socket}:1`,
    "con=null",
    "con0=fd:0,fd:1",
    "ssl=null",
    "console=tty0",
    `uml_dir=${options.folder}/uml`,
    "quiet",
    "panic=-1",
    ...(options.arguments ?? []),
  ];
}

function qemuGuestCommand(options: GuestOptions, initramfs: string, memoryMiB: number): string[] {
  const { kernel, qemu, card, network = vhostUserNetwork(options.socket) } = options;
  return [
    ...qemuCommand({ memoryMiB, network, ...(qemu && { qemu }), ...(card !== undefined && { card }) }),
    ...["-kernel", unpackedKernel(kernel.executable, cacheFolder), "-initrd", initramfs],
    ...["-append", ["console=ttyS0 quiet panic=-1", ...(options.arguments ?? [])].join(" ")],
  ];
}

/** A Linux guest. Boots, asks for an address by DHCP, then runs scripts. */
export class Guest {
  readonly program: Program;
  #scripts = 0;

  private constructor(program: Program) {
    this.program = program;
  }

  static async boot(options: GuestOptions): Promise<Guest> {
    const { kernel, folder } = options;
    const memoryMiB = options.memoryMiB ?? 512;
    mkdirSync(join(folder, "uml"), { recursive: true });
    const initramfs = join(folder, "initramfs");
    writeFileSync(initramfs, buildInitramfs(kernel, options.programs));
    const command = (kernel.kind === "uml" ? umlCommand : qemuGuestCommand)(options, initramfs, memoryMiB);
    const environment = kernel.kind === "uml" ? sharedMemoryFolder(folder, memoryMiB) : {};
    const start = {
      cwd: kernel.folder,
      env: { ...kernel.environment, ...environment },
      processors: options.processors,
    };
    const program = options.host?.start(command, start) ?? new Program(command, start);
    try {
      await program.waitFor(/@ready/, bootTimeoutMs[kernel.kind]);
    } catch (error) {
      await program.kill();
      throw error;
    }
    return new Guest(program);
  }

  /** Runs a shell script inside; what it leaves running in the background goes on. */
  async run(script: string, timeoutMs = 30_000): Promise<ScriptResult> {
    const encoded = Buffer.from(script).toString("base64");
    // A terminal takes lines of 4095 bytes.
    if (encoded.length > 4000) throw new Error("the script is too long for one line of the console");
    const id = ++this.#scripts;
    const from = this.program.output.length;
    this.program.write(`${id} ${encoded}\n`);
    const pattern = new RegExp(`@begin ${id}\\r?\\n([\\s\\S]*?)\\r?\\n?@end ${id} (\\d+)`);
    const [, output, status] = await this.program.waitFor(pattern, timeoutMs, from);
    return { status: Number(status), output: output.replaceAll("\r", "").trim() };
  }

  /** Like run, but a status other than 0 is an error with what the script said. */
  async must(script: string, timeoutMs = 30_000): Promise<string> {
    const { status, output } = await this.run(script, timeoutMs);
    if (status !== 0) throw new Error(`in the guest, "${script}" ended with ${status}:\n${output}`);
    return output;
  }

  /** What DHCP gave: ip, mask, router, dns, mtu, server, lease. */
  async lease(): Promise<Record<string, string>> {
    const lines = (await this.must("cat /tmp/lease")).split("\n");
    return Object.fromEntries(lines.map((line) => line.split("=", 2)));
  }

  /** Waits for a global address from router advertisements, past duplicate address detection. */
  async waitForIpv6(timeoutMs = 15_000): Promise<string> {
    const output = await this.must(
      `for i in $(seq ${Math.ceil(timeoutMs / 200)}); do
        ip -6 addr show dev eth0 scope global | grep -v tentative | sed -n 's/.*inet6 \\([^/]*\\).*/\\1/p' | grep . && exit 0
        sleep 0.2
      done; ip addr; exit 1`,
      timeoutMs + 10_000,
    );
    return output.split("\n")[0];
  }

  /** The card's counters of received frames that were wrong, those that are not 0. */
  async receiveErrors(): Promise<Record<string, number>> {
    const output = await this.must("cd /sys/class/net/eth0/statistics && grep . rx_*errors");
    const counters = output.split("\n").map((line) => line.split(":"));
    return Object.fromEntries(
      counters.map(([name, count]) => [name, Number(count)]).filter(([, count]) => count !== 0),
    );
  }

  /** Shuts down as a guest does, and waits for it. */
  async powerOff(): Promise<void> {
    this.program.write(`0 ${Buffer.from("sync; poweroff -f").toString("base64")}\n`);
    try {
      await this.program.waitForExit(20_000);
    } finally {
      await this.program.kill();
    }
  }

  /** SIGKILL to the virtual machine. */
  async kill(): Promise<void> {
    await this.program.kill();
  }
}
