import { raiseOpenFilesLimit } from "@passt-ts/linux/resource-limits";
import { isBackgroundProcess, sayReady } from "./background.ts";
import type { CommandLine } from "./command-line.ts";
import { configure, type Surroundings } from "./configuration.ts";
import { DataPlaneThread } from "./data-plane-thread.ts";
import { openForwards } from "./forward-sockets.ts";
import type { FrontEndSocket } from "./front-end-socket.ts";
import { RESOLVER_PATH, readEphemeralRange, readMachineId, readResolver } from "./host-files.ts";
import { HostFollower } from "./host-follower.ts";
import { readHostNetwork } from "./host-network.ts";
import { HostWatcher } from "./host-watcher.ts";
import { become, type Identity } from "./identity.ts";
import { openOutputFile, writePidFile } from "./output-file.ts";
import type { ProgramLog } from "./program-log.ts";

/** What a daemon works with. */
export interface DaemonOptions {
  readonly line: CommandLine;
  readonly frontEnd: FrontEndSocket;
  /** Whom to become once everything is open; null: nobody else. */
  readonly identity: Identity | null;
  readonly log: ProgramLog;
}

/** The main thread's part while the program serves: it opens what needs privileges, and watches over the data plane. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #thread: DataPlaneThread;
  readonly #watcher: HostWatcher;
  #follower: HostFollower | null = null;
  #pidFd: number | null = null;
  #failed = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#thread = new DataPlaneThread(options.log.write);
    // Before the host is read for the first time: no change goes unseen.
    this.#watcher = new HostWatcher({
      resolverPath: RESOLVER_PATH,
      changed: () => this.#follower?.follow(),
      warn: (text) => options.log.write("warning", text),
    });
    this.#thread.onWatched = () => this.#watcher.wake();
    const stop = () => this.#thread.stop();
    for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) process.on(signal, stop);
    const fail = (error: unknown) => {
      options.log.write("error", error instanceof Error ? (error.stack ?? error.message) : String(error));
      this.#failed = true;
      stop();
    };
    process.on("uncaughtException", fail);
    process.on("unhandledRejection", fail);
  }

  /** Serves until it is asked to end, or cannot go on. The program's exit code. @throws UsageError before it serves. */
  async run(): Promise<number> {
    const { frontEnd, log } = this.#options;
    await this.#start();
    const failedEarly = await Promise.race([this.#thread.ready.then(() => false), this.#thread.ended.then(() => true)]);
    if (!failedEarly && frontEnd.path !== null) log.write("info", `listening at ${frontEnd.path}`);
    if (!failedEarly) await this.#detach();
    const failure = await this.#thread.ended;
    this.#thread.close();
    this.#watcher.close();
    if (failure !== null) log.write("error", failure);
    return failure === null && !this.#failed ? 0 : 1;
  }

  /** Opens what options name, gives up privileges, and sets the data plane going, in this order. */
  async #start(): Promise<void> {
    const { line, frontEnd, identity } = this.#options;
    const surroundings = this.#surroundings();
    const configuration = configure(line, surroundings);
    raiseOpenFilesLimit();
    const pidPath = line.last("pid");
    if (pidPath !== undefined) this.#pidFd = openOutputFile(pidPath, "-P");
    const forwards = openForwards(configuration.forwards, {
      ipv4: configuration.ipv4 !== null,
      ipv6: configuration.ipv6 !== null,
      freebind: configuration.freebind,
    });
    const pcapFd = configuration.pcapFile === null ? null : openOutputFile(configuration.pcapFile, "-p");
    // The Worker's modules may be out of the reach of whom we become.
    await this.#thread.loaded;
    if (identity !== null) this.#become(identity);
    const fd = frontEnd.take();
    const fds = frontEnd.path === null ? { listenFd: null, frontEndFd: fd } : { listenFd: fd, frontEndFd: null };
    this.#thread.start({ configuration, ...fds, pcapFd, forwards, watchedFds: this.#watcher.fds });
    this.#follower = new HostFollower({
      line,
      surroundings,
      configuration,
      read: () => ({ network: readHostNetwork(line), resolver: readResolver() }),
      apply: (link) => this.#thread.configure(link),
      log: this.#options.log.write,
    });
  }

  #become(identity: Identity): void {
    const { line, log } = this.#options;
    if (!line.has("runas")) log.write("warning", `started as root: going on as user ${identity.uid}`);
    become(identity);
  }

  #surroundings(): Surroundings {
    const { line, frontEnd, log } = this.#options;
    return {
      network: readHostNetwork(line),
      resolver: readResolver(),
      machineId: readMachineId(),
      socketPath: frontEnd.path ?? "",
      ephemeral: readEphemeralRange(),
      warn: (text) => log.write("warning", text),
    };
  }

  /** Tells the world that we serve; in the background nothing keeps us where we were started any longer. */
  async #detach(): Promise<void> {
    if (this.#pidFd !== null) writePidFile(this.#pidFd);
    if (!isBackgroundProcess()) return;
    this.#options.log.leaveStandardError();
    process.chdir("/");
    await sayReady();
  }
}
