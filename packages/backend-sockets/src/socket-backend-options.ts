import type { WindowTable } from "@passt-ts/iov/windows";
import type { EventLoop } from "@passt-ts/linux/event-loop";
import type { FlowTimers } from "./flow-timers.ts";
import type { LinkConfiguration } from "./link-configuration.ts";
import type { ForwardSocket } from "./listeners.ts";

/** What a socket back-end is made of. */
export interface SocketBackendOptions {
  readonly loop: EventLoop;
  /** The table that the guest's memory is in; the back-end adds its scratch. */
  readonly windows: WindowTable;
  readonly link: LinkConfiguration;
  /** Bound sockets for inbound traffic; the back-end owns them from now on. */
  readonly forwards: readonly ForwardSocket[];
  /** Use SO_PEEK_OFF where the kernel has it. Default true. */
  readonly peekOffset?: boolean;
  readonly timers?: FlowTimers;
  /** Flows of TCP, and of UDP, at most. Default 131072. */
  readonly flowCapacity?: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Seconds since 1970. */
  readonly startSeconds: number;
  /** Monotonic milliseconds: what sockets say between two turns is timed by it, and the turns' own time must be of it. */
  readonly clock: () => number;
  /** Says what the user can do something about. */
  readonly warn: (text: string) => void;
}
