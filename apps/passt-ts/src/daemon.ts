import { setDumpable, setNoNewPrivileges } from "@passt-ts/linux/process-identity";
import { releaseProgramCode } from "@passt-ts/linux/program-code";
import { raiseOpenFilesLimit } from "@passt-ts/linux/resource-limits";
import type { BackendChoice } from "./backend-option.ts";
import { openReadyChannel } from "./background.ts";
import type { CommandLine } from "./command-line.ts";
import { type Configuration, configure, type Surroundings } from "./configuration.ts";
import { DataPlaneThread } from "./data-plane-thread.ts";
import { openForwards } from "./forward-sockets.ts";
import type { FrontEndSocket } from "./front-end-socket.ts";
import { RESOLVER_PATH, readEphemeralRange, readFlowTimers, readMachineId, readResolver } from "./host-files.ts";
import { HostFollower } from "./host-follower.ts";
import { type HostNetwork, readHostNetwork } from "./host-network.ts";
import { HostWatcher } from "./host-watcher.ts";
import { become, type Identity } from "./identity.ts";
import { IDLE_LOOK_MS, IdleMemory } from "./idle-memory.ts";
import { linkWarnings, localModeWarning, startLines, tapStartLines } from "./link-report.ts";
import { type OpenedTap, openTapOf } from "./opened-tap.ts";
import { openOutputFile, openOutputStream, writePidFile } from "./output-file.ts";
import type { ProgramLog } from "./program-log.ts";
import type { ReadyChannel } from "./ready-channel.ts";

/** What a daemon works with. */
export interface DaemonOptions {
  readonly line: CommandLine;
  readonly frontEnd: FrontEndSocket;
  readonly backend: BackendChoice;
  /** Whom to become once everything is open; null: nobody else. */
  readonly identity: Identity | null;
  readonly log: ProgramLog;
}

/** The main thread's part while the program serves: it opens what needs privileges, and watches over the data plane. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #thread: DataPlaneThread;
  /** Null where the back-end has nothing from the host's network. */
  readonly #watcher: HostWatcher | null;
  readonly #stopped: PromiseWithResolvers<null> = Promise.withResolvers<null>();
  #follower: HostFollower | null = null;
  #pidFd: number | null = null;
  /** To who waits for us to be in the background; null in the foreground. */
  #readyChannel: ReadyChannel | null = null;
  #failed = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    // The data plane's thread has it from us.
    setNoNewPrivileges();
    this.#thread = new DataPlaneThread(options.log.write);
    // Before the host is read for the first time: no change goes unseen.
    const watching = {
      resolverPath: RESOLVER_PATH,
      changed: () => this.#follower?.follow(),
      warn: (text: string) => options.log.write("warning", text),
    };
    this.#watcher = options.backend.tap === null ? new HostWatcher(watching) : null;
    this.#thread.onWatched = () => this.#watcher?.wake();
    for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) process.on(signal, () => this.#stop());
    const fail = (error: unknown) =>
      this.#fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.on("uncaughtException", fail);
    process.on("unhandledRejection", fail);
  }

  /** Serves until it is asked to end, or cannot go on. The program's exit code. @throws UsageError before it serves. */
  async run(): Promise<number> {
    const { frontEnd, log } = this.#options;
    this.#readyChannel = await openReadyChannel(() => this.#fail("who started this for the background has gone"));
    if (!(await this.#start())) return this.#failed ? 1 : 0;
    const failedEarly = await Promise.race([this.#thread.ready.then(() => false), this.#thread.ended.then(() => true)]);
    if (!failedEarly && frontEnd.path !== null) log.write("info", `listening at ${frontEnd.path}`);
    if (!failedEarly) this.#detach();
    const memory = new IdleMemory(processorMs, releaseProgramCode);
    setInterval(() => memory.look(), IDLE_LOOK_MS).unref();
    const failure = await this.#thread.ended;
    this.#thread.close();
    this.#watcher?.close();
    if (failure !== null) log.write("error", failure);
    return failure === null && !this.#failed ? 0 : 1;
  }

  /** Opens what options name, gives up privileges, and sets the data plane going, in this order. False when asked to end. */
  async #start(): Promise<boolean> {
    const { line, frontEnd, backend, identity } = this.#options;
    // Whom we become may not open it.
    const tap = openTapOf(backend);
    const surroundings = tap === null ? this.#surroundings() : this.#tapSurroundings(tap);
    const configuration = configure(line, surroundings);
    raiseOpenFilesLimit();
    const pidPath = line.last("pid");
    if (pidPath !== undefined) this.#pidFd = openOutputFile(pidPath, "-P");
    const forwards = openForwards(configuration.forwards, {
      ipv4: configuration.ipv4 !== null,
      ipv6: configuration.ipv6 !== null,
      freebind: configuration.freebind,
    });
    let pcapFd: number | null = null;
    if (configuration.pcapFile !== null) {
      pcapFd = await Promise.race([openOutputStream(configuration.pcapFile, "-p"), this.#stopped.promise]);
      if (pcapFd === null) return false;
    }
    // The Worker's modules may be out of the reach of whom we become.
    await this.#thread.loaded;
    if (identity !== null) this.#become(identity);
    // Behind the change of user, which may set it anew.
    setDumpable(false);
    this.#reportLink(configuration, surroundings.network, tap);
    const fd = frontEnd.take();
    const fds = frontEnd.path === null ? { listenFd: null, frontEndFd: fd } : { listenFd: fd, frontEndFd: null };
    this.#thread.start({
      configuration,
      backendName: backend.name,
      tapFd: tap?.fd ?? null,
      ...fds,
      pcapFd,
      forwards,
      timers: readFlowTimers(),
      watchedFds: this.#watcher?.fds ?? [],
    });
    if (tap !== null) return true;
    this.#follower = new HostFollower({
      line,
      surroundings,
      configuration,
      read: () => ({ network: readHostNetwork(line), resolver: readResolver() }),
      apply: (link) => this.#thread.configure(link),
      log: this.#options.log.write,
    });
    return true;
  }

  #become(identity: Identity): void {
    const { line, log } = this.#options;
    if (!line.has("runas")) log.write("warning", `started as root: going on as user ${identity.uid}`);
    become(identity);
  }

  /** Why a guest has the address that it has, and where it and its ports lead. */
  #reportLink(configuration: Configuration, network: HostNetwork, tap: OpenedTap | null): void {
    const { line, log } = this.#options;
    if (tap === null) {
      const local = localModeWarning(configuration, network, line.has("address"));
      for (const text of [...(local === null ? [] : [local]), ...linkWarnings(configuration)])
        log.write("warning", text);
    }
    const lines = tap === null ? startLines(configuration, network) : tapStartLines(configuration, tap.interfaceName);
    for (const text of lines) log.write("info", text);
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

  /** What a guest on a tap has from us is its MAC address and its MTU: nothing comes from the host's network. */
  #tapSurroundings({ interfaceName, mtu }: OpenedTap): Surroundings {
    const { frontEnd, log } = this.#options;
    return {
      network: { ipv4: null, ipv6: null, linkLocal: null, scopeId: 0, defaultRoutes: [] },
      resolver: { nameServers: [], searchDomains: [] },
      machineId: readMachineId(),
      // Guests on one bridge need different MAC addresses.
      socketPath: frontEnd.path ?? interfaceName,
      ephemeral: readEphemeralRange(),
      warn: (text) => log.write("warning", text),
      mtu,
    };
  }

  /** Tells the world that we serve; in the background nothing keeps us where we were started any longer. */
  #detach(): void {
    if (this.#pidFd !== null) writePidFile(this.#pidFd);
    if (this.#readyChannel === null) return;
    this.#options.log.leaveStandardError();
    process.chdir("/");
    this.#readyChannel.sayReady();
  }

  #stop(): void {
    this.#stopped.resolve(null);
    this.#thread.stop();
  }

  #fail(why: string): void {
    this.#options.log.write("error", why);
    this.#failed = true;
    this.#stop();
  }
}

/** Processor time of all threads so far. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
