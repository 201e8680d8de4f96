// The daemon under test, in the namespace that plays the host.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { HostNamespace } from "./namespace.ts";
import type { Program } from "./process.ts";

const root = resolve(import.meta.dir, "../..");

/** PASST_DAEMON names another program with passt's options, for comparing by hand. */
function daemonCommand(): string[] {
  const other = process.env.PASST_DAEMON;
  return other !== undefined ? other.split(" ") : [process.execPath, join(root, "apps/passt-ts/src/main.ts")];
}

/** Counts of what a process holds. */
export interface ProcessCounts {
  readonly fds: number;
  readonly maps: number;
  readonly threads: number;
}

/** Totals of the daemon's life, and flows that live at the time. */
export interface DaemonCounters {
  readonly framesFromGuest: number;
  readonly framesToGuest: number;
  readonly flowsLeft: number;
}

export class Daemon {
  readonly program: Program;
  readonly socket: string;

  private constructor(program: Program, socket: string) {
    this.program = program;
    this.socket = socket;
  }

  /** Starts it in the foreground and waits for its socket, which lies in `folder`. */
  static async start(host: HostNamespace, folder: string, options: readonly string[] = []): Promise<Daemon> {
    const socket = join(folder, "vhost.sock");
    const program = host.start([...daemonCommand(), "--vhost-user", "-f", "-s", socket, ...options], { cwd: root });
    const daemon = new Daemon(program, socket);
    const deadline = performance.now() + 20_000;
    while (!existsSync(socket)) {
      if (program.exitCode !== null || performance.now() > deadline) {
        await program.kill();
        throw new Error(`the daemon did not open ${socket}:\n${program.output}`);
      }
      await Bun.sleep(20);
    }
    return daemon;
  }

  get log(): string {
    return this.program.output;
  }

  counts(): ProcessCounts {
    const proc = `/proc/${this.program.pid}`;
    return {
      fds: readdirSync(`${proc}/fd`).length,
      maps: readFileSync(`${proc}/maps`, "utf8").trimEnd().split("\n").length,
      threads: readdirSync(`${proc}/task`).length,
    };
  }

  /** What the daemon's log said last of its counters. */
  counters(): DaemonCounters {
    const last = (name: string): number => {
      const found = [...this.log.matchAll(new RegExp(`\\b${name}[=: ]+(\\d+)`, "g"))].at(-1);
      if (found === undefined) throw new Error(`the daemon's log says nothing of ${name}:\n${this.log.slice(-4000)}`);
      return Number(found[1]);
    };
    return {
      framesFromGuest: last("framesFromGuest"),
      framesToGuest: last("framesToGuest"),
      flowsLeft: last("flowsLeft"),
    };
  }

  /** Ends it with SIGTERM and returns its exit code. */
  async stop(): Promise<number> {
    return await this.program.stop();
  }
}

/** A folder for one test's sockets, images and captures; short, for the names of sockets are limited to 107 bytes. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "passt-ts-"));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
