/** A range of a file of the front-end as memory: the dirty log, the in-flight buffer. */
import { WINDOW_BYTES_MAX } from "@passt-ts/iov/windows";
import { fileStatus, isRegularFile } from "@passt-ts/linux/file-status";
import { type MappedMemory, mapFile } from "@passt-ts/linux/mapped-memory";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";

/** Offsets are rounded down to this, a multiple of every page size of x86-64 and arm64. */
const OFFSET_ALIGNMENT = 65536;

/** A mapped range; the bytes are lent until {@link SharedFile.close}, which detaches them. */
export class SharedFile implements Disposable {
  readonly bytes: Uint8Array;
  readonly #mapping: MappedMemory;

  /**
   * Maps `sizeBytes` bytes from `offset` on, at most 1 GiB; the descriptor is only borrowed.
   *
   * @param what names the file in errors.
   * @throws VhostUserError BAD_MEMORY for a file that is shorter, none at all, or too much of it; SystemError.
   */
  constructor(what: string, fd: number, offset: bigint, sizeBytes: bigint) {
    const status = fileStatus(fd);
    if (!isRegularFile(status)) throw new VhostUserError("BAD_MEMORY", `${what}: not a file`);
    if (sizeBytes === 0n || sizeBytes > BigInt(WINDOW_BYTES_MAX - OFFSET_ALIGNMENT)) {
      throw new VhostUserError("BAD_MEMORY", `${what} of ${sizeBytes} bytes`);
    }
    if (offset + sizeBytes > BigInt(status.sizeBytes)) {
      throw new VhostUserError(
        "BAD_MEMORY",
        `${what} ends at byte ${offset + sizeBytes} of a file of ${status.sizeBytes}`,
      );
    }
    const leadBytes = Number(offset % BigInt(OFFSET_ALIGNMENT));
    this.#mapping = mapFile({
      fd,
      offset: Number(offset) - leadBytes,
      lengthBytes: leadBytes + Number(sizeBytes),
      blockBytes: Math.max(1, status.blockBytes),
    });
    this.bytes = this.#mapping.bytes(leadBytes, Number(sizeBytes));
  }

  close(): void {
    this.#mapping.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
