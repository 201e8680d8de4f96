// The host of the soak: a namespace with somebody to talk to in it, and the daemon as a process of its own.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createHost } from "../../conformance/host.ts";
import { Daemon, type ProcessCounts, removeFolder, temporaryFolder } from "../../guests/daemon.ts";
import type { HostNamespace } from "../../guests/namespace.ts";
import type { Program } from "../../guests/process.ts";
import { forwardedPort } from "../../matrix/ports.ts";

const ports = String(forwardedPort);
const options = ["--offload", "all,packed,in-order", "-t", ports, "-u", ports, "-d"];
/** The daemon gives memory back when it has been idle for two looks of two seconds each. */
const IDLE_MS = 5000;

/** What the daemon holds with no guest. */
export interface Held extends ProcessCounts {
  readonly rssAnonBytes: number;
}

export class SoakHost {
  readonly daemon: Daemon;
  readonly #namespace: HostNamespace;
  readonly #end: Program;
  readonly #folder: string;
  /** Answers of the host that were read. */
  #readTo = 0;
  readonly #answers = new Map<string, string>();

  private constructor(namespace: HostNamespace, end: Program, daemon: Daemon, folder: string) {
    this.#namespace = namespace;
    this.#end = end;
    this.daemon = daemon;
    this.#folder = folder;
  }

  static async create(): Promise<SoakHost> {
    const namespace = await createHost();
    const folder = temporaryFolder();
    try {
      const end = namespace.start([process.execPath, join(import.meta.dir, "host-end.ts")]);
      await end.waitFor(/ready\n/, 10_000);
      return new SoakHost(namespace, end, await Daemon.start(namespace, folder, options), folder);
    } catch (error) {
      await namespace.close();
      removeFolder(folder);
      throw error;
    }
  }

  /** Has the host send to the guest's forwarded port, and wait for all of it to come back. */
  ask(over: "tcp" | "udp", id: number, seed: number, lengthBytes: number): void {
    this.#end.write(`${over} ${id} ${seed} ${lengthBytes}\n`);
  }

  /** Has the host end what it has under way. */
  forget(): void {
    this.#end.write("forget\n");
  }

  /** What the host said of an id: null as long as nothing, "" that all came back, else why not. */
  answer(id: number): string | null {
    const { output } = this.#end;
    const whole = output.lastIndexOf("\n") + 1;
    for (const [, done, name, why = ""] of output.slice(this.#readTo, whole).matchAll(/^(done|failed) (\d+)(.*)$/gm))
      this.#answers.set(name, done === "done" ? "" : `failed${why}`);
    this.#readTo = whole;
    return this.#answers.get(String(id)) ?? null;
  }

  /** What the daemon holds once it has been idle for a while. */
  async heldWhenIdle(): Promise<Held> {
    await Bun.sleep(IDLE_MS);
    const status = readFileSync(`/proc/${this.daemon.program.pid}/status`, "utf8");
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kib === undefined) throw new Error("no RssAnon in /proc/PID/status");
    return { ...this.daemon.counts(), rssAnonBytes: Number(kib) * 1024 };
  }

  async close(): Promise<void> {
    await this.daemon.program.kill();
    await this.#end.kill();
    await this.#namespace.close();
    removeFolder(this.#folder);
  }
}
