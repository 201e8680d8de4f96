// The daemon's data plane in a Worker of this process, with what its main thread would give it.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { createEventFd, EventSignal } from "@passt-ts/linux/eventfd";
import { listenUnix } from "@passt-ts/linux/unix-socket";
import { parseCommandLine } from "../../../apps/passt-ts/src/command-line.ts";
import { configure } from "../../../apps/passt-ts/src/configuration.ts";
import { ControlBlock } from "../../../apps/passt-ts/src/control-block.ts";
import type { StartMessage } from "../../../apps/passt-ts/src/worker-messages.ts";
import { temporaryFolder } from "../../guests/daemon.ts";

export class WorkerDaemon implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #worker: Worker;
  readonly #control: ControlBlock;
  readonly #ended: Promise<unknown>;
  /** What the Worker said last. */
  #said: unknown = null;

  private constructor(folder: string, script: URL) {
    this.#folder = folder;
    this.path = join(folder, "socket");
    this.#control = new ControlBlock(createEventFd().take());
    this.#worker = new Worker(script.href);
    this.#ended = new Promise((resolve) => this.#worker.addEventListener("close", resolve));
  }

  /**
   * Starts a Worker that runs a data plane, and waits until it says that it serves.
   *
   * @param script gets one message: what `more` holds, and as `start` the data plane's StartMessage. It says something
   *   when it serves, and something or nothing at its end.
   * @param options those of the program.
   */
  static async start(script: URL, options: readonly string[], more: object = {}): Promise<WorkerDaemon> {
    const daemon = new WorkerDaemon(temporaryFolder(), script);
    const { promise, resolve } = Promise.withResolvers<void>();
    daemon.#worker.onmessage = ({ data }) => {
      daemon.#said = data;
      resolve();
    };
    daemon.#worker.postMessage({ ...more, start: daemon.#task(options) });
    await promise;
    return daemon;
  }

  #task(options: readonly string[]): StartMessage {
    const configuration = configure(parseCommandLine(options), {
      network: { ipv4: null, ipv6: null, linkLocal: null, scopeId: 0, defaultRoutes: [] },
      resolver: { nameServers: [], searchDomains: [] },
      machineId: "",
      socketPath: this.path,
      ephemeral: { first: 32768, last: 60999 },
      warn: () => {},
    });
    const { shared, eventFd } = this.#control;
    return {
      configuration,
      backendName: "sockets",
      tapFd: null,
      listenFd: listenUnix({ path: this.path, backlog: 8 }).take(),
      frontEndFd: null,
      pcapFd: null,
      forwards: [],
      timers: { tcp: {}, udp: {} },
      watchedFds: [],
      control: { shared, eventFd },
    };
  }

  /** Ends it, and returns what it said last. */
  async stop(): Promise<unknown> {
    this.#control.requestStop();
    new EventSignal().notify(this.#control.eventFd);
    await this.#ended;
    return this.#said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
