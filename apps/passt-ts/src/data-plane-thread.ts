import { serialize } from "node:v8";
import type { LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { createEventFd, EventSignal } from "@passt-ts/linux/eventfd";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { ControlBlock } from "./control-block.ts";
import type { Log } from "./log.ts";
import type { StartMessage, WorkerMessage } from "./worker-messages.ts";

/** What the data plane has to do, the control block aside. */
export type DataPlaneTask = Omit<StartMessage, "control">;

/** The Worker that runs the data plane, as the main thread sees it. */
export class DataPlaneThread {
  readonly #worker: Worker;
  readonly #eventFd: OwnedFd;
  readonly #control: ControlBlock;
  readonly #signal: EventSignal = new EventSignal();
  /** The newest link that the data plane has not been given yet. */
  #link: Uint8Array | null = null;
  /** Told when one of the task's `watchedFds` became readable. */
  onWatched: () => void = () => {};
  /** Resolves when all its modules are there: from then on the process may become another user. */
  readonly loaded: Promise<void>;
  /** Resolves when the data plane serves front-ends. */
  readonly ready: Promise<void>;
  /** Resolves when it has closed everything, with the reason when that was none of our asking. */
  readonly ended: Promise<string | null>;

  constructor(log: Log) {
    this.#eventFd = createEventFd();
    this.#control = new ControlBlock(this.#eventFd.fd);
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    const loaded = Promise.withResolvers<void>();
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<string | null>();
    this.loaded = Promise.race([loaded.promise, ended.promise.then(() => {})]);
    this.ready = ready.promise;
    this.ended = ended.promise;
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if (data.kind === "loaded") loaded.resolve();
      else if (data.kind === "ready") ready.resolve();
      else if (data.kind === "log") log(data.level, data.text);
      else if (data.kind === "watched") this.#look();
      else if (data.kind === "linkTaken") this.#postLink();
      else ended.resolve(data.failure);
    };
    this.#worker.onerror = (event) => ended.resolve(event.message);
    this.#worker.addEventListener("close", () => ended.resolve("the data plane ended without a word"));
  }

  /** Gives the data plane its task, once. */
  start(task: DataPlaneTask): void {
    const control = { shared: this.#control.shared, eventFd: this.#eventFd.fd };
    this.#worker.postMessage({ ...task, control } satisfies StartMessage);
  }

  /** Asks the data plane to close everything and end. */
  stop(): void {
    this.#control.requestStop();
    this.#signal.notify(this.#eventFd.fd);
  }

  /** Makes the data plane go by another link. */
  configure(link: LinkConfiguration): void {
    this.#link = serialize(link);
    this.#postLink();
  }

  #look(): void {
    // Before the look: what comes during it is told again.
    this.#control.releaseWatched();
    this.onWatched();
  }

  /** Leaves the newest link where the data plane finds it; while the last one lies there, its "linkTaken" calls again. */
  #postLink(): void {
    if (this.#link === null || !this.#control.post(this.#link)) return;
    this.#link = null;
    this.#signal.notify(this.#eventFd.fd);
  }

  /** Frees what the main thread holds; after {@link DataPlaneThread.ended}. */
  close(): void {
    this.#eventFd.close();
  }
}
