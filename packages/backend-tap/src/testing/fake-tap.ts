import { readBytes, writeBytes } from "@passt-ts/linux/file-io";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { SO_SNDBUF, SOL_SOCKET } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno } from "@passt-ts/linux/system-error";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import type { TapPort } from "../tap-port.ts";

const BUFFER_BYTES = 70000;
/** Bytes that a stalled host holds before a write says EAGAIN. */
const SEND_BUFFER_BYTES = 16384;

/** How a {@link FakeTap} differs from a tap of a new kernel. */
export interface FakeTapOptions {
  readonly name?: string;
  /** Default true. */
  readonly hasHeader?: boolean;
  /** The offloads that it knows, bits of `TapOffload`. Default all. */
  readonly offloads?: number;
  /** The longest header that it knows. Default 12. */
  readonly headerBytesMax?: number;
}

/**
 * A tap without a kernel's tap, for tests: a socket pair that keeps frames apart. What a back-end writes the host's
 * side receives, header and all, and the other way round; a host that takes nothing makes the back-end wait.
 */
export class FakeTap implements TapPort, Disposable {
  readonly name: string;
  readonly hasHeader: boolean;
  headerLength = 10;
  offload = 0;
  /** The offloads that it knows; a test may take some away. */
  offloads: number;
  readonly #headerBytesMax: number;
  readonly #backend: OwnedFd;
  readonly #host: OwnedFd;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  constructor(options: FakeTapOptions = {}) {
    this.name = options.name ?? "fake0";
    this.hasHeader = options.hasHeader ?? true;
    this.offloads = options.offloads ?? 0x7f;
    this.#headerBytesMax = options.headerBytesMax ?? 12;
    [this.#backend, this.#host] = createSocketPair("seqpacket");
    new SocketOptions().set(this.#backend.fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
  }

  get fd(): number {
    return this.#backend.fd;
  }

  setHeaderLength(lengthBytes: number): number {
    if (!this.hasHeader || lengthBytes < 10 || lengthBytes > this.#headerBytesMax) return -Errno.EINVAL;
    this.headerLength = lengthBytes;
    return 0;
  }

  setOffload(bits: number): number {
    if ((bits & ~this.offloads) !== 0) return -Errno.EINVAL;
    this.offload = bits;
    return 0;
  }

  /** A frame for the guest, behind a header whose first bytes are these. False when no more fits. */
  deliver(frame: Uint8Array, header: readonly number[] = []): boolean {
    const front = this.hasHeader ? this.headerLength : 0;
    const whole = new Uint8Array(front + frame.length);
    whole.set(header.slice(0, front));
    whole.set(frame, front);
    return writeBytes(this.#host.fd, whole, 0, whole.length) === whole.length;
  }

  /** The oldest frame of the guest that the host has not taken yet, with its header, or null. */
  take(): { readonly header: Uint8Array; readonly frame: Uint8Array } | null {
    const length = readBytes(this.#host.fd, this.#buffer, 0, BUFFER_BYTES);
    if (length <= 0) return null;
    const front = this.hasHeader ? this.headerLength : 0;
    return { header: this.#buffer.slice(0, front), frame: this.#buffer.slice(front, length) };
  }

  /** What happens when the interface is deleted, as far as a socket can show it: the descriptor hangs up. */
  vanish(): void {
    this.#host.close();
  }

  close(): void {
    this.#backend.close();
  }

  [Symbol.dispose](): void {
    this.#backend.close();
    this.#host.close();
  }
}
