import { appendRange, Iov, IovPool } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { Icmp, writeIcmpEcho } from "@passt-ts/wire/icmp";
import { EchoCounter } from "./echo-counter.ts";
import type { EchoSocketPort } from "./socket-port.ts";

/** Scatter-gather entries that one system call takes (UIO_MAXIOV). */
const SYSTEM_CALL_ENTRIES_MAX = 1024;

/** Scratch of a request: its ICMP header, and room for data that has to be copied together. */
export const REQUEST_SCRATCH_BYTES: number = Icmp.headerBytes + 65536;

/** Sends echo requests: a header of our own in front of the guest's data, which stays where it is. */
export class EchoSender {
  readonly #windows: WindowTable;
  readonly #port: EchoSocketPort;
  readonly #window: number;
  readonly #at: number;
  readonly #pool: IovPool;
  readonly #iov: Iov;
  readonly #counters: Float64Array;

  /** @param at place of {@link REQUEST_SCRATCH_BYTES} bytes of `window` that the sender owns. */
  constructor(windows: WindowTable, port: EchoSocketPort, window: number, at: number, counters: Float64Array) {
    this.#windows = windows;
    this.#port = port;
    this.#window = window;
    this.#at = at;
    this.#pool = new IovPool(windows, SYSTEM_CALL_ENTRIES_MAX);
    this.#iov = new Iov(this.#pool);
    this.#counters = counters;
  }

  /**
   * Sends a request of `type` whose data is the `lengthBytes` bytes of `frame` from `offset` on.
   *
   * Returns 0, -errno, or 1 when the data is not there.
   */
  send(socket: number, type: number, sequence: number, frame: Iov, offset: number, lengthBytes: number): number {
    const pool = this.#pool;
    pool.count = 0;
    writeIcmpEcho(this.#windows.views[this.#window], this.#at, type, 0, sequence);
    pool.append(this.#window, this.#at, Icmp.headerBytes);
    let covered = appendRange(pool, frame, offset, lengthBytes);
    if (covered < 0 && lengthBytes <= REQUEST_SCRATCH_BYTES - Icmp.headerBytes) {
      this.#counters[EchoCounter.flattened]++;
      covered = gather(frame, offset, this.#window, this.#at + Icmp.headerBytes, lengthBytes);
      pool.count = 0;
      pool.append(this.#window, this.#at, Icmp.headerBytes + covered);
    }
    if (covered !== lengthBytes) return 1;
    const sent = this.#port.send(socket, this.#iov.select(0, pool.count), Icmp.headerBytes + lengthBytes);
    return Math.min(sent, 0);
  }
}
