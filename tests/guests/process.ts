// Child processes that never outlive us: each leads a process group of its own, is killed when our process dies, and its output
// can be waited for.

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Processors it may use with all that it starts, as taskset(1) lists them; null or none: any. */
  readonly processors?: string | null | undefined;
}

/** A running program whose standard output and error are collected as one text. */
export class Program {
  /** Those that run, to be ended with us even where they escaped the kernel's signal by changing their user. */
  static readonly #running = new Set<Program>();
  static #isPrepared = false;

  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number>;
  #output = "";
  #waiting: (() => void)[] = [];
  #exitCode: number | null = null;

  constructor(command: readonly string[], options: StartOptions = {}) {
    this.name = command.join(" ").slice(0, 200);
    // The kernel kills it when we go, however we go. Its environment is set last, for it may not suit setpriv.
    const environment = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`);
    const placed = options.processors == null ? [] : ["taskset", "--cpu-list", options.processors];
    const whole = [...placed, "setpriv", "--pdeathsig", "KILL", "--", "env", ...environment, ...command];
    this.#child = spawn(whole[0], whole.slice(1), {
      cwd: options.cwd,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
        this.#wake();
      });
    }
    this.#child.stdin?.on("error", () => undefined);
    Program.#endWithUs();
    Program.#running.add(this);
    this.#exited = new Promise((resolve) => {
      this.#child.on("error", (error) => {
        this.#output += error.message;
        this.#ended(127, resolve);
      });
      this.#child.on("close", (code, signal) => this.#ended(code ?? (signal === "SIGKILL" ? 137 : 128), resolve));
    });
  }

  /** What runs goes with us, whatever ends us: one that changed its user outlives the kernel's signal. */
  static #endWithUs(): void {
    if (Program.#isPrepared) return;
    Program.#isPrepared = true;
    process.once("exit", Program.killAll);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => process.exit(128 + constants.signals[signal]));
    }
  }

  /** Ends every program that still runs, with its process group. */
  static killAll(): void {
    for (const program of Program.#running) program.#killGroup();
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.#child.pid;
  }

  get output(): string {
    return this.#output;
  }

  /** Exit code, or null while it runs. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  closeInput(): void {
    this.#child.stdin?.end();
  }

  /** Waits until the output after `from` matches; throws with the end of the output when it ends or the time is over. */
  async waitFor(pattern: RegExp, timeoutMs: number, from = 0): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(this.#output.slice(from));
      if (found !== null) return found;
      const left = deadline - performance.now();
      if (this.#exitCode !== null || left <= 0) {
        const why = this.#exitCode !== null ? `ended with ${this.#exitCode}` : `did not within ${timeoutMs} ms`;
        throw new Error(`waited for ${pattern}, but ${this.name} ${why}; it said:\n${this.#output.slice(-4000)}`);
      }
      await this.#change(left);
    }
  }

  /** Waits for the end; throws when the time is over. */
  async waitForExit(timeoutMs: number): Promise<number> {
    const exited = await Promise.race([this.#exited, Bun.sleep(timeoutMs).then(() => null)]);
    if (exited === null)
      throw new Error(`${this.name} still runs after ${timeoutMs} ms:\n${this.#output.slice(-4000)}`);
    return exited;
  }

  /** Ends it politely, and after a while by force; nothing of its process group is left. */
  async stop(graceMs = 5000): Promise<number> {
    if (this.#exitCode === null) this.#child.kill("SIGTERM");
    const exited = await Promise.race([this.#exited, Bun.sleep(graceMs).then(() => null)]);
    return exited ?? (await this.kill());
  }

  /** Ends it and its whole process group at once. */
  async kill(): Promise<number> {
    this.#killGroup();
    return await this.#exited;
  }

  #killGroup(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // Nobody of the group is left.
    }
  }

  #ended(code: number, resolve: (code: number) => void): void {
    this.#exitCode = code;
    Program.#running.delete(this);
    this.#wake();
    resolve(code);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  async #change(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Runs a command to its end and returns its standard output; throws with everything it said when it fails. */
export function runToEnd(command: readonly string[], options: { readonly cwd?: string } = {}): string {
  const result = Bun.spawnSync([...command], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (result.exitCode !== 0) {
    throw new Error(`${command.join(" ")} ended with ${result.exitCode}:\n${result.stdout}${result.stderr}`);
  }
  return result.stdout.toString();
}
