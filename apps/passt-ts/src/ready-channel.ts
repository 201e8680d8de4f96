/** What is said on the channel, once. */
export const READY_LINE = "ready\n";

/**
 * From the process that goes to the background to the one that started it: a connected socket, on which it says that it
 * is ready, and by whose end it learns that nobody waits for it any longer.
 */
export class ReadyChannel {
  readonly #onAbandoned: () => void;
  #socket: Bun.Socket | null = null;

  private constructor(onAbandoned: () => void) {
    this.#onAbandoned = onAbandoned;
  }

  /** @param fd the socket, whose owner the channel becomes. @param onAbandoned called when the other end goes first. */
  static async open(fd: number, onAbandoned: () => void): Promise<ReadyChannel> {
    const channel = new ReadyChannel(onAbandoned);
    const socket = { data: () => {}, close: () => channel.#closed() };
    // The runtime takes a descriptor here; its types leave that out.
    channel.#socket = await Bun.connect({ fd, socket } as unknown as Bun.UnixSocketOptions);
    return channel;
  }

  /** Says that everything is set up, and closes the channel. */
  sayReady(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.end(READY_LINE);
  }

  #closed(): void {
    if (this.#socket === null) return;
    this.#socket = null;
    this.#onAbandoned();
  }
}
