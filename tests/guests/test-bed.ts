// A host in a namespace with its servers, a daemon on it, and guests on the daemon: what each case sets up, and all of it gone at
// the end, whatever happened.

import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Daemon, removeFolder, temporaryFolder } from "./daemon.ts";
import { Guest, type GuestOptions } from "./guest.ts";
import { compileTraffic, type Kernel } from "./image.ts";
import { HostNamespace } from "./namespace.ts";
import type { Program, StartOptions } from "./process.ts";

export class TestBed implements AsyncDisposable {
  readonly host: HostNamespace;
  /** Sockets, captures and images; the HTTP server offers the files in files/. */
  readonly folder: string;
  readonly files: string;
  /** The traffic program, for host and guests; null where it was not asked for. */
  readonly #traffic: string | null;
  readonly #closers: (() => Promise<unknown>)[] = [];
  #guests = 0;

  private constructor(host: HostNamespace, folder: string, compile: boolean) {
    this.host = host;
    this.folder = folder;
    this.files = join(folder, "files");
    mkdirSync(this.files);
    this.#traffic = compile ? compileTraffic(folder) : null;
  }

  /**
   * `compile: false` does without the traffic program, and so without a C compiler; with `open` a daemon that gives up root can
   * still make its socket.
   */
  static async create(options: { readonly compile?: boolean; readonly open?: boolean } = {}): Promise<TestBed> {
    const host = await HostNamespace.create();
    const folder = temporaryFolder();
    if (options.open === true) chmodSync(folder, 0o777);
    process.once("exit", () => removeFolder(folder));
    const bed = new TestBed(host, folder, options.compile ?? true);
    try {
      const services = bed.start([process.execPath, join(import.meta.dir, "host-services.ts"), bed.files]);
      await services.waitFor(/ready/, 10_000);
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
    return bed;
  }

  get traffic(): string {
    if (this.#traffic === null) throw new Error("the traffic program was not asked for");
    return this.#traffic;
  }

  /** Starts a program on the host. */
  start(command: readonly string[], options: StartOptions = {}): Program {
    const program = this.host.start(command, options);
    this.#closers.push(() => program.kill());
    return program;
  }

  /** `command` is another program with passt's options; without it our own daemon. */
  async startDaemon(
    options: readonly string[] = [],
    command?: readonly string[],
    processors: string | null = null,
  ): Promise<Daemon> {
    const daemon = await Daemon.start(this.host, this.folder, options, command, processors);
    this.#closers.push(async () => {
      if (daemon.program.exitCode) console.error(`the daemon ended with ${daemon.program.exitCode}:\n${daemon.log}`);
      await daemon.program.kill();
    });
    return daemon;
  }

  async boot(kernel: Kernel, daemon: Pick<Daemon, "socket">, options: Partial<GuestOptions> = {}): Promise<Guest> {
    const folder = join(this.folder, `guest${++this.#guests}`);
    mkdirSync(folder);
    const programs = this.#traffic === null ? [] : [this.#traffic];
    const guest = await Guest.boot({ kernel, socket: daemon.socket, folder, programs, ...options });
    this.#closers.push(() => guest.kill());
    return guest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // In the reverse order, so that a guest goes before its daemon.
    for (const close of this.#closers.reverse()) await close();
    await this.host.close();
    removeFolder(this.folder);
  }
}
