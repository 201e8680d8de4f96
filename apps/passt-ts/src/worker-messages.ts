import type { FlowTimers } from "@passt-ts/backend-sockets/flow-timers";
import type { ForwardSocket } from "@passt-ts/backend-sockets/listeners";
import type { Configuration } from "./configuration.ts";
import type { LogLevel } from "./log.ts";

/** The only message the main thread sends to the data plane: what to do, and every descriptor it needs for it. */
export interface StartMessage {
  readonly configuration: Configuration;
  /** What carries the guest's frames, as --backend names it. */
  readonly backendName: string;
  /** The tap that it means, open; null when it means none. */
  readonly tapFd: number | null;
  /** The listening socket, or null when a front-end is connected already. */
  readonly listenFd: number | null;
  readonly frontEndFd: number | null;
  readonly pcapFd: number | null;
  readonly forwards: readonly ForwardSocket[];
  readonly timers: FlowTimers;
  /** Descriptors that the main thread cannot wait for itself: it is told when one becomes readable. They stay its own. */
  readonly watchedFds: readonly number[];
  readonly control: { readonly shared: SharedArrayBuffer; readonly eventFd: number };
}

/** What the data plane says to the main thread. */
export type WorkerMessage =
  /** Its modules are there, and it waits for its task. */
  | { readonly kind: "loaded" }
  | { readonly kind: "ready" }
  | { readonly kind: "log"; readonly level: LogLevel; readonly text: string }
  /** One of {@link StartMessage.watchedFds} became readable. */
  | { readonly kind: "watched" }
  /** It has taken the link that was left in the control block. */
  | { readonly kind: "linkTaken" }
  /** It has closed everything; `failure` is null when it ended as asked. */
  | { readonly kind: "ended"; readonly failure: string | null };
