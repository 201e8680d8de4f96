// What is compared: a daemon with passt's options, its own namespace, and a guest on it.

import { join } from "node:path";
import type { Daemon } from "../guests/daemon.ts";
import type { Guest } from "../guests/guest.ts";
import type { Kernel } from "../guests/image.ts";
import type { HostNamespace } from "../guests/namespace.ts";
import type { Program as HostProgram } from "../guests/process.ts";
import type { TestBed } from "../guests/test-bed.ts";
import { createBenchBed } from "./bench-bed.ts";
import { compileLatency, latencyName, latencyPort } from "./latency-program.ts";
import type { Placement } from "./placement.ts";
import { cpuSecondsOf } from "./process-usage.ts";

export interface Program {
  readonly name: string;
  /** Command that takes passt's options; null: the daemon of this checkout. */
  readonly command: readonly string[] | null;
}

/** What a guest needs to reach the host other than by the daemon's own services. */
export interface Link {
  /** Arguments of the guest's kernel. */
  readonly arguments: readonly string[];
  /** Before the daemon starts. */
  prepare(host: HostNamespace): void;
  /** When the guest has booted. */
  settle(guest: Guest): Promise<void>;
}

/** A daemon with a guest on it, ready to be measured. */
export class Contestant implements AsyncDisposable {
  readonly name: string;
  readonly guest: Guest;
  readonly #bed: TestBed;
  readonly #daemon: Daemon;
  readonly #placement: Placement;

  private constructor(name: string, bed: TestBed, placement: Placement, daemon: Daemon, guest: Guest) {
    this.name = name;
    this.#bed = bed;
    this.#placement = placement;
    this.#daemon = daemon;
    this.guest = guest;
  }

  static async start(
    program: Program,
    kernel: Kernel,
    options: readonly string[],
    placement: Placement,
    link: Link | null = null,
  ): Promise<Contestant> {
    const iperf = Bun.which("iperf3");
    if (iperf === null) throw new Error("no iperf3");
    const bed = await createBenchBed();
    try {
      const latency = compileLatency(bed.folder);
      const processors = placement.host;
      bed.start([iperf, "-s"], { processors });
      bed.start([latency, "serve", String(latencyPort)], { processors });
      link?.prepare(bed.host);
      const daemon = await bed.startDaemon(options, program.command ?? undefined, processors);
      const guest = await bed.boot(kernel, daemon, {
        programs: [iperf, latency],
        arguments: link?.arguments ?? [],
        processors: placement.guest,
      });
      await link?.settle(guest);
      return new Contestant(program.name, bed, placement, daemon, guest);
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts the program for latencies on the host. */
  startLatency(args: readonly string[]): HostProgram {
    return this.#bed.start([join(this.#bed.folder, latencyName), ...args], { processors: this.#placement.host });
  }

  get daemonPid(): number {
    return this.#daemon.program.pid;
  }

  /** Processor seconds of the daemon so far. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.daemonPid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bed[Symbol.asyncDispose]();
  }
}
