// What tells host-peer.ts what to do, and hears what its sockets see.

import { join } from "node:path";
import type { HostNamespace } from "../guests/namespace.ts";
import type { Program } from "../guests/process.ts";
import type { HostAction } from "./script.ts";

const TIMEOUT_MS = 10_000;

export class HostPeerClient {
  readonly #program: Program;
  #heard = 0;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(host: HostNamespace): Promise<HostPeerClient> {
    const program = host.start([process.execPath, join(import.meta.dir, "host-peer.ts")]);
    await program.waitFor(/ready\n/, TIMEOUT_MS);
    return new HostPeerClient(program);
  }

  /** Carries the actions out, and returns when they were begun. */
  async run(actions: readonly HostAction[]): Promise<void> {
    const from = this.#program.output.length;
    this.#program.write(`${JSON.stringify(actions)}\n`);
    await this.#program.waitFor(/done\n/, TIMEOUT_MS, from);
  }

  /** What the sockets saw since this was last asked, "NAME WHAT" each; data that came in pieces is put together. */
  takeEvents(): string[] {
    const { output } = this.#program;
    const end = output.lastIndexOf("\n") + 1;
    const events: string[] = [];
    for (const match of output.slice(this.#heard, end).matchAll(/^event (.*)$/gm)) {
      const [event] = match.slice(1);
      const [, name, data] = /^(\S+) data (.*)$/.exec(event) ?? [];
      if (name !== undefined && events.at(-1)?.startsWith(`${name} data `)) events[events.length - 1] += data;
      else events.push(event);
    }
    this.#heard = end;
    return events;
  }

  async stop(): Promise<void> {
    await this.#program.kill();
  }
}
