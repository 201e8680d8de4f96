import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { SOL_SOCKET } from "./socket-constants.ts";

const SO_MEMINFO = 55;
/** Indices of the answer (SK_MEMINFO_*, linux/sock_diag.h). */
const MEMORY = { receiveBuffer: 1, sendBuffer: 3, writeQueued: 5, count: 9 } as const;
const POLLOUT = 4;

/** What a socket's buffers hold and may hold, in the kernel's terms: bookkeeping is counted with the data. */
export class SocketMemory {
  readonly #memory: NativeBuffer = new NativeBuffer(MEMORY.count * 4);
  readonly #length: NativeBuffer = new NativeBuffer(4);
  /** struct pollfd: fd, then events and revents of 16 bits each. */
  readonly #poll: NativeBuffer = new NativeBuffer(8);
  /** SO_RCVBUF and SO_SNDBUF as they are now; the kernel may raise them while traffic runs. */
  receiveBufferBytes = 0;
  sendBufferBytes = 0;
  /** What of the send buffer is in use. */
  sendQueuedBytes = 0;

  /** Reads the state of a socket (SO_MEMINFO, Linux 4.12). 0 or -errno. */
  read(fd: number): number {
    this.#length.words[0] = MEMORY.count * 4;
    const result = resultOf(libc.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, this.#memory.address, this.#length.address));
    if (result < 0) return result;
    const { words } = this.#memory;
    this.receiveBufferBytes = words[MEMORY.receiveBuffer];
    this.sendBufferBytes = words[MEMORY.sendBuffer];
    this.sendQueuedBytes = words[MEMORY.writeQueued];
    return 0;
  }

  /**
   * Whether the socket takes data now. When it does not, the kernel from now on owes an edge-triggered epoll a writable
   * event, as after a full send, but with no data at stake.
   */
  isWritable(fd: number): boolean {
    this.#poll.view.setInt32(0, fd, true);
    this.#poll.view.setUint32(4, POLLOUT, true);
    return libc.poll(this.#poll.address, 1, 0) === 1;
  }
}
