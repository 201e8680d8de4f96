// The daemon under test, in the namespace that plays the host.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { HostNamespace } from "./namespace.ts";
import type { Program } from "./process.ts";

const root = resolve(import.meta.dir, "../..");

/** The daemon's program. PASST_DAEMON names another one with passt's options, for comparing by hand. */
export function daemonCommand(): string[] {
  const other = process.env.PASST_DAEMON;
  return other !== undefined ? other.split(" ") : [process.execPath, join(root, "apps/passt-ts/src/main.ts")];
}

/**
 * What a process holds of its own. The runtime starts and ends threads as it compiles and collects, and private anonymous
 * mappings are their stacks and its heap: neither is counted. Guest memory is shared, so its mappings are.
 */
export interface ProcessCounts {
  readonly fds: number;
  readonly maps: number;
  /** The main thread and Workers. */
  readonly threads: number;
}

const privateAnonymous = /^\S+ ...p \S+ 00:00 0\s*$/;

/** Totals of the daemon's life, and flows that live at the time. */
export interface DaemonCounters {
  readonly framesFromGuest: number;
  readonly framesToGuest: number;
  readonly framesCaptured: number;
  readonly flowsLeft: number;
}

/** The number behind `name=` in one group of a statistics line, such as "tcp flows=1 connects=3"; zeros are left out there. */
function statistic(line: string, group: string, name: string): number {
  const counts = line.split("; ").find((text) => text.split(" ")[0] === group) ?? "";
  return Number(new RegExp(`\\b${name}=(\\d+)`).exec(counts)?.[1] ?? 0);
}

export class Daemon {
  readonly program: Program;
  readonly socket: string;

  private constructor(program: Program, socket: string) {
    this.program = program;
    this.socket = socket;
  }

  /** Starts it in the foreground and waits for its socket, which lies in `folder`. */
  static async start(
    host: HostNamespace,
    folder: string,
    options: readonly string[] = [],
    command: readonly string[] = daemonCommand(),
    processors: string | null = null,
  ): Promise<Daemon> {
    const socket = join(folder, "vhost.sock");
    const program = host.start([...command, "--vhost-user", "-f", "-s", socket, ...options], { cwd: root, processors });
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
    const maps = readFileSync(`${proc}/maps`, "utf8").trimEnd().split("\n");
    return {
      fds: readdirSync(`${proc}/fd`).length,
      maps: maps.filter((line) => !privateAnonymous.test(line)).length,
      threads: 1 + readdirSync(`${proc}/task`).filter((id) => threadName(`${proc}/task/${id}`) === "Worker").length,
    };
  }

  /** One number of the log's last line of statistics; the daemon writes one with -d when a guest goes and when it ends. */
  statistic(group: string, name: string): number {
    return statistic(this.#statistics(), group, name);
  }

  /** What the log's last line of statistics says. */
  counters(): DaemonCounters {
    const line = this.#statistics();
    return {
      framesFromGuest: statistic(line, "net", "txFrames"),
      framesToGuest: statistic(line, "net", "rxFrames"),
      framesCaptured: line.includes("; capture ") ? statistic(line, "capture", "records") : 0,
      flowsLeft: ["tcp", "udp", "icmp"].reduce((sum, group) => sum + statistic(line, group, "flows"), 0),
    };
  }

  #statistics(): string {
    const line = [...this.log.matchAll(/^(?:[\d.]+: )?statistics: (.*)$/gm)].at(-1)?.[1];
    if (line === undefined) throw new Error(`no statistics in the daemon's log:\n${this.log.slice(-4000)}`);
    return line;
  }

  /** Ends it with SIGTERM and returns its exit code. */
  async stop(): Promise<number> {
    return await this.program.stop();
  }
}

/** The name of a thread; none for one that has just ended. */
function threadName(folder: string): string {
  try {
    return readFileSync(join(folder, "comm"), "utf8").trim();
  } catch {
    return "";
  }
}

/** A folder for one test's sockets, images and captures; short, for the names of sockets are limited to 107 bytes. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "passt-ts-"));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
