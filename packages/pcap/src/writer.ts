import { capacityOf, type Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import {
  FileHeader,
  LINK_TYPE_ETHERNET,
  MAGIC_MICROSECONDS,
  NATIVE_LITTLE_ENDIAN,
  RecordHeader,
  SNAP_LENGTH_BYTES,
  VERSION_MAJOR,
  VERSION_MINOR,
} from "./format.ts";

/**
 * Takes the first `lengthBytes` bytes of `bytes`, which belong to the writer again when it returns. 0 or more is success.
 *
 * A negative result (-errno) says that they are lost; the writer then stops, because a file with a hole in it cannot be
 * read.
 */
export type PcapSink = (bytes: Uint8Array, lengthBytes: number) => number;

export interface PcapWriterOptions {
  /** The table that the iovs to write and the staging window belong to. */
  windows: WindowTable;
  /** A window that the writer uses whole as its staging area: at least {@link STAGING_BYTES_MIN} bytes. */
  stagingWindow: number;
  sink: PcapSink;
}

/** The smallest staging area: the file header, and room for a record header and some data. */
export const STAGING_BYTES_MIN = 64;

/**
 * Writes Ethernet frames as a classic pcap file (microseconds, native byte order) through a fixed staging area.
 *
 * The file header is staged at once; blocks go to the sink when the staging area is full or at {@link flush}. A record
 * is exactly as long as its caller says, whatever the buffers of the frame could hold.
 */
export class PcapWriter {
  /** Records written. */
  records = 0;
  /** 0, or the negative result with which the sink refused a block: from then on nothing is written. */
  error = 0;

  readonly #window: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #sink: PcapSink;
  #staged = 0;

  /** @throws RangeError when the staging window is too small. */
  constructor(options: PcapWriterOptions) {
    this.#window = options.stagingWindow;
    this.#bytes = options.windows.bytes[options.stagingWindow];
    this.#view = options.windows.views[options.stagingWindow];
    this.#sink = options.sink;
    if (this.#bytes.length < STAGING_BYTES_MIN) {
      throw new RangeError(`the staging area holds ${this.#bytes.length} bytes, at least ${STAGING_BYTES_MIN} needed`);
    }
    this.#stageFileHeader();
  }

  /** Bytes staged and not yet handed to the sink. */
  get stagedBytes(): number {
    return this.#staged;
  }

  /**
   * Writes one record: the `lengthBytes` bytes of `iov` from `offset` on, captured at `seconds` and `microseconds`.
   *
   * The record says `lengthBytes` as its original length; it includes all of them, unless they pass the snap length or
   * the end of `iov`. Returns 0, or the sink's negative result.
   */
  write(iov: Iov, offset: number, lengthBytes: number, seconds: number, microseconds: number): number {
    if (this.#bytes.length - this.#staged < RecordHeader.size) this.flush();
    if (this.error !== 0) return this.error;
    const available = Math.max(0, capacityOf(iov) - offset);
    const included = Math.min(lengthBytes, SNAP_LENGTH_BYTES, available);
    const at = this.#staged;
    this.#view.setUint32(at + RecordHeader.seconds, seconds, NATIVE_LITTLE_ENDIAN);
    this.#view.setUint32(at + RecordHeader.fraction, microseconds, NATIVE_LITTLE_ENDIAN);
    this.#view.setUint32(at + RecordHeader.includedLength, included, NATIVE_LITTLE_ENDIAN);
    this.#view.setUint32(at + RecordHeader.originalLength, lengthBytes, NATIVE_LITTLE_ENDIAN);
    this.#staged = at + RecordHeader.size;
    this.#stageData(iov, offset, included);
    if (this.error === 0) this.records++;
    return this.error;
  }

  /** Hands what is staged to the sink. Returns 0, or the sink's negative result. */
  flush(): number {
    if (this.error === 0 && this.#staged > 0) {
      const result = this.#sink(this.#bytes, this.#staged);
      if (result < 0) this.error = result;
    }
    this.#staged = 0;
    return this.error;
  }

  #stageData(iov: Iov, offset: number, lengthBytes: number): void {
    let done = 0;
    while (done < lengthBytes && this.error === 0) {
      if (this.#staged === this.#bytes.length) this.flush();
      const take = Math.min(lengthBytes - done, this.#bytes.length - this.#staged);
      gather(iov, offset + done, this.#window, this.#staged, take);
      this.#staged += take;
      done += take;
    }
    // A full block leaves at once, so that a crash loses as little as it can.
    if (this.#staged === this.#bytes.length) this.flush();
  }

  #stageFileHeader(): void {
    const view = this.#view;
    this.#bytes.fill(0, 0, FileHeader.size);
    view.setUint32(FileHeader.magic, MAGIC_MICROSECONDS, NATIVE_LITTLE_ENDIAN);
    view.setUint16(FileHeader.versionMajor, VERSION_MAJOR, NATIVE_LITTLE_ENDIAN);
    view.setUint16(FileHeader.versionMinor, VERSION_MINOR, NATIVE_LITTLE_ENDIAN);
    view.setUint32(FileHeader.snapLength, SNAP_LENGTH_BYTES, NATIVE_LITTLE_ENDIAN);
    view.setUint32(FileHeader.linkType, LINK_TYPE_ETHERNET, NATIVE_LITTLE_ENDIAN);
    this.#staged = FileHeader.size;
  }
}
