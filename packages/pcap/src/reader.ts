/**
 * Trust: the file may come from anywhere. A length that passes the end of the bytes, or a record longer than the file
 * says its records are, ends the reading; nothing is allocated from a length in the file.
 */
import { FileHeader, MAGIC_MICROSECONDS, MAGIC_NANOSECONDS, RecordHeader, SNAP_LENGTH_BYTES } from "./format.ts";

/** Why a reader gives no record. */
export const ReadEnd = {
  /** More records may follow. */
  none: 0,
  /** The bytes ended behind a whole record. */
  complete: 1,
  /** The bytes ended inside a record or its header: the capture was cut off. */
  truncated: 2,
  /** A record claims to be longer than the snap length of the file. */
  badLength: 3,
} as const;

/**
 * Reads the records of a classic pcap file that is in memory, of either byte order, with microseconds or nanoseconds.
 *
 * It is a cursor: after {@link next} its fields describe one record, whose bytes stay where they are.
 */
export class PcapReader {
  readonly littleEndian: boolean;
  readonly nanoseconds: boolean;
  readonly versionMajor: number;
  readonly versionMinor: number;
  readonly snapLength: number;
  readonly linkType: number;

  /** Where the record's bytes begin in the bytes that are read. */
  recordAt = 0;
  /** How many of the record's bytes the file holds. */
  includedLength = 0;
  /** How long the record was on the wire. */
  originalLength = 0;
  seconds = 0;
  /** The timestamp's fraction of a second, in nanoseconds for either kind of file. */
  fractionNanoseconds = 0;
  /** Why {@link next} returned false; 0 before that. */
  end: number = ReadEnd.none;

  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  /**
   * @param bytes borrowed, not copied.
   * @param lengthBytes how many of them are the file.
   * @throws RangeError when they do not begin with a pcap file header.
   */
  constructor(bytes: Uint8Array, lengthBytes: number = bytes.length) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, Math.min(lengthBytes, bytes.length));
    if (view.byteLength < FileHeader.size) throw new RangeError(`no pcap file: ${view.byteLength} bytes`);
    const big = view.getUint32(FileHeader.magic);
    const little = view.getUint32(FileHeader.magic, true);
    this.littleEndian = little === MAGIC_MICROSECONDS || little === MAGIC_NANOSECONDS;
    const magic = this.littleEndian ? little : big;
    if (magic !== MAGIC_MICROSECONDS && magic !== MAGIC_NANOSECONDS) {
      throw new RangeError(`no pcap file: magic ${big.toString(16)}`);
    }
    this.nanoseconds = magic === MAGIC_NANOSECONDS;
    this.versionMajor = view.getUint16(FileHeader.versionMajor, this.littleEndian);
    this.versionMinor = view.getUint16(FileHeader.versionMinor, this.littleEndian);
    this.snapLength = view.getUint32(FileHeader.snapLength, this.littleEndian);
    // The upper bits may hold the length of a frame check sequence.
    this.linkType = view.getUint32(FileHeader.linkType, this.littleEndian) & 0xffff;
    this.#view = view;
    this.#end = view.byteLength;
    this.#at = FileHeader.size;
  }

  /** Moves to the next record; false when there is none, and {@link end} then says why. */
  next(): boolean {
    if (this.end !== ReadEnd.none) return false;
    const at = this.#at;
    const left = this.#end - at;
    if (left < RecordHeader.size) return this.#stop(left === 0 ? ReadEnd.complete : ReadEnd.truncated);
    const view = this.#view;
    const included = view.getUint32(at + RecordHeader.includedLength, this.littleEndian);
    if (included > Math.max(this.snapLength, SNAP_LENGTH_BYTES)) return this.#stop(ReadEnd.badLength);
    if (included > left - RecordHeader.size) return this.#stop(ReadEnd.truncated);
    const fraction = view.getUint32(at + RecordHeader.fraction, this.littleEndian);
    this.seconds = view.getUint32(at + RecordHeader.seconds, this.littleEndian);
    this.fractionNanoseconds = this.nanoseconds ? fraction : fraction * 1000;
    this.includedLength = included;
    this.originalLength = view.getUint32(at + RecordHeader.originalLength, this.littleEndian);
    this.recordAt = at + RecordHeader.size;
    this.#at = this.recordAt + included;
    return true;
  }

  #stop(reason: number): boolean {
    this.end = reason;
    return false;
  }
}
