import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The program. */
export const MAIN: string = join(import.meta.dir, "../main.ts");
const TIMEOUT_MS = 10_000;

/** A new folder where anybody may remove files, as whoever the program becomes has to; its maker removes it. */
export function sharedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "passt-ts-"));
  chmodSync(folder, 0o777);
  return folder;
}

/** What a run of the program came to. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program to its end. */
export function runToEnd(args: readonly string[], environment: Record<string, string> = {}): Ended {
  const env = { ...process.env, ...environment };
  const run = Bun.spawnSync([process.execPath, MAIN, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env,
  });
  return { exitCode: run.exitCode, stdout: run.stdout.toString(), stderr: run.stderr.toString() };
}

/** The program in the foreground, with a folder of its own for what it makes. */
export class Daemon implements AsyncDisposable {
  readonly folder: string = sharedFolder();
  readonly socketPath: string = join(this.folder, "socket");
  readonly pidPath: string = join(this.folder, "pid");
  /** Everything it wrote to standard error so far. */
  log = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #logged: Promise<void>;

  /**
   * @param args besides -f and -P.
   * @param inheritedFd it gets as descriptor 3; without one it listens at {@link Daemon.socketPath}.
   * @param wrapper a command that executes the one behind it, in its own process.
   */
  constructor(args: readonly string[] = [], inheritedFd: number | null = null, wrapper: readonly string[] = []) {
    const frontEnd = inheritedFd === null ? ["-s", this.socketPath] : ["-F", "3"];
    const stdio: ["ignore", "pipe", "pipe", ...number[]] = ["ignore", "pipe", "pipe"];
    if (inheritedFd !== null) stdio.push(inheritedFd);
    const command = [...wrapper, process.execPath, MAIN, "-f", "-P", this.pidPath, ...frontEnd, ...args];
    this.#child = Bun.spawn(command, { stdio }) as Bun.Subprocess<"ignore", "pipe", "pipe">;
    this.#logged = this.#readLog();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Waits until the pid file is written: everything is set up then. */
  async ready(): Promise<this> {
    const isWritten = (): boolean => existsSync(this.pidPath) && readFileSync(this.pidPath, "utf8").endsWith("\n");
    await this.until(() => isWritten() && this.log.includes(this.socketPath), "the daemon to be ready");
    return this;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const endMs = performance.now() + TIMEOUT_MS;
    while (!condition()) {
      if (performance.now() > endMs || this.exitCode !== null) {
        if (condition()) return;
        throw new Error(`waited in vain for ${what}; its log:\n${this.log}`);
      }
      await Bun.sleep(5);
    }
  }

  signal(name: "SIGTERM" | "SIGINT" | "SIGQUIT"): void {
    this.#child.kill(name);
  }

  /** Waits for its end; the exit code. */
  async ended(): Promise<number> {
    const code = await this.#child.exited;
    await this.#logged;
    return code;
  }

  async #readLog(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) this.log += decoder.decode(chunk, { stream: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.exitCode === null) this.#child.kill("SIGKILL");
    await this.#child.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
