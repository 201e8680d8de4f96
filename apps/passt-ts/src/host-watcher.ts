import { FileWatch } from "@passt-ts/linux/file-watch";
import { NetworkChanges } from "@passt-ts/linux/network-changes";
import { SystemError } from "@passt-ts/linux/system-error";

/** Changes come in numbers: how long they are left to settle, and how many times longer than looking at them takes. */
const SETTLE_MS = 200;
const SETTLE_RATIO = 10;

/** What a watcher watches, and who is told. */
export interface HostWatcherOptions {
  /** The host's resolv.conf. */
  readonly resolverPath: string;
  /** Told that the host's network or resolver may have changed. */
  readonly changed: () => void;
  /** Told what cannot be watched. */
  readonly warn: (text: string) => void;
}

/**
 * Notices changes of the host's network and resolver. It cannot wait for descriptors itself, as the runtime's event loop
 * takes none: whoever can waits for {@link HostWatcher.fds} and calls {@link HostWatcher.wake}.
 */
export class HostWatcher implements Disposable {
  readonly #options: HostWatcherOptions;
  readonly #sources: (NetworkChanges | FileWatch)[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #settleMs = SETTLE_MS;

  /** Changes from now on count. */
  constructor(options: HostWatcherOptions) {
    this.#options = options;
    this.#open("network", () => new NetworkChanges());
    this.#open("resolver", () => new FileWatch(options.resolverPath));
  }

  /** Readable, edge-triggered, when there is something to see. */
  get fds(): readonly number[] {
    return this.#sources.map((source) => source.fd);
  }

  /** Looks at what has come. */
  wake(): void {
    const changes = this.#sources.map((source) => source.take());
    if (!changes.includes(true) || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#tell(), this.#settleMs);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const source of this.#sources) source.close();
    this.#sources.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #tell(): void {
    this.#timer = null;
    const startMs = performance.now();
    this.#options.changed();
    this.#settleMs = Math.max(SETTLE_MS, SETTLE_RATIO * (performance.now() - startMs));
  }

  #open(what: string, open: () => NetworkChanges | FileWatch): void {
    try {
      this.#sources.push(open());
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#options.warn(`changes of the host's ${what} are not followed: ${error.message}`);
    }
  }
}
