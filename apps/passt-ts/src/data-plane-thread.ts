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
  /** Resolves when the data plane serves front-ends. */
  readonly ready: Promise<void>;
  /** Resolves when it has closed everything, with the reason when that was none of our asking. */
  readonly ended: Promise<string | null>;

  constructor(task: DataPlaneTask, log: Log) {
    this.#eventFd = createEventFd();
    this.#control = new ControlBlock(this.#eventFd.fd);
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<string | null>();
    this.ready = ready.promise;
    this.ended = ended.promise;
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if (data.kind === "ready") ready.resolve();
      else if (data.kind === "log") log(data.level, data.text);
      else ended.resolve(data.failure);
    };
    this.#worker.onerror = (event) => ended.resolve(event.message);
    this.#worker.addEventListener("close", () => ended.resolve("the data plane ended without a word"));
    const control = { shared: this.#control.shared, eventFd: this.#eventFd.fd };
    this.#worker.postMessage({ ...task, control } satisfies StartMessage);
  }

  /** Asks the data plane to close everything and end. */
  stop(): void {
    this.#control.requestStop();
    this.#signal.notify(this.#eventFd.fd);
  }

  /** Frees what the main thread holds; after {@link DataPlaneThread.ended}. */
  close(): void {
    this.#eventFd.close();
  }
}
