import { IovPool } from "@passt-ts/iov/iov";
import type { WindowTable } from "@passt-ts/iov/windows";

/** Scatter-gather entries that one system call takes (UIO_MAXIOV); with more it fails with EMSGSIZE. */
export const SYSTEM_CALL_ENTRIES_MAX = 1024;

/**
 * Datagrams that go out through one socket in one call, in parallel arrays.
 *
 * Datagram `i` is the first `lengthBytes[i]` bytes of the `entryCount[i]` entries of {@link pool} from `firstEntry[i]`
 * on. All datagrams together use at most {@link SYSTEM_CALL_ENTRIES_MAX} entries. An empty datagram has none.
 */
export class DatagramBatch {
  readonly capacity: number;
  readonly pool: IovPool;
  readonly firstEntry: Int32Array;
  readonly entryCount: Int32Array;
  readonly lengthBytes: Int32Array;
  /** Whether the socket is not connected and the four columns below say where each datagram goes. */
  addressed = false;
  /** Destination address, 4 words a datagram, and port. */
  readonly address: Uint32Array;
  readonly port: Uint16Array;
  /** Interface index of a link-local destination, else 0. */
  readonly scope: Uint32Array;
  /** The host's address to send from, 4 words a datagram; all 0 leaves it to the host. */
  readonly localAddress: Uint32Array;
  /** Datagrams in the batch. */
  count = 0;

  constructor(windows: WindowTable, capacity: number) {
    this.capacity = capacity;
    this.pool = new IovPool(windows, SYSTEM_CALL_ENTRIES_MAX);
    this.firstEntry = new Int32Array(capacity);
    this.entryCount = new Int32Array(capacity);
    this.lengthBytes = new Int32Array(capacity);
    this.address = new Uint32Array(4 * capacity);
    this.port = new Uint16Array(capacity);
    this.scope = new Uint32Array(capacity);
    this.localAddress = new Uint32Array(4 * capacity);
  }

  /** Empties the batch. */
  clear(): void {
    this.count = 0;
    this.pool.count = 0;
  }
}
