/**
 * Windows: the pieces of memory that scatter-gather entries point into.
 *
 * A window is at most 1 GiB, because JavaScriptCore's access to an ArrayBuffer of 2 GiB or more is 4 to 10 times
 * slower; every offset inside a window is therefore an int32.
 */

/** The largest window in bytes. */
export const WINDOW_BYTES_MAX: number = 1024 * 1024 * 1024;

/** The most windows of one table: scatter-gather entries name a window by 16 bits. */
export const WINDOWS_MAX = 65536;

/**
 * Copies `lengthBytes` bytes between two windows of one table; the ranges were checked by the caller and do not overlap.
 * A table may be given a native one: in JavaScript a copy costs a `subarray`, 45-60 ns and garbage.
 */
export type CopyBytes = (
  windows: WindowTable,
  toWindow: number,
  toOffset: number,
  fromWindow: number,
  fromOffset: number,
  lengthBytes: number,
) => void;

/** Copies of at most this many bytes go byte by byte: cheaper than making a view. */
const SHORT_COPY_BYTES = 48;

/** The copy that works everywhere, without native help. */
export const copyBytesPortably: CopyBytes = (windows, toWindow, toOffset, fromWindow, fromOffset, lengthBytes) => {
  const to = windows.bytes[toWindow];
  const from = windows.bytes[fromWindow];
  if (lengthBytes <= SHORT_COPY_BYTES) {
    for (let i = 0; i < lengthBytes; i++) to[toOffset + i] = from[fromOffset + i];
    return;
  }
  to.set(from.subarray(fromOffset, fromOffset + lengthBytes), toOffset);
};

/**
 * The windows that one owner's scatter-gather lists may name, by index.
 *
 * The table borrows the memory: whoever adds a window keeps it mapped until it has removed the window again.
 */
export class WindowTable {
  /** The bytes of each window; a free index holds an empty array, so that a stale entry reaches nothing. */
  readonly bytes: Uint8Array[] = [];
  /** One DataView for each window, made once: a new view costs 55 ns. */
  readonly views: DataView[] = [];
  /** The native address of each window's first byte, or 0 for memory that has none. */
  readonly addresses: number[] = [];
  readonly #copyBytes: CopyBytes;

  constructor(copyBytes: CopyBytes = copyBytesPortably) {
    this.#copyBytes = copyBytes;
  }

  /**
   * Adds a window and returns its index: the one that was freed last, or the next that was never used.
   *
   * @param address native address of `bytes[0]`, when system calls are to use the window.
   * @throws RangeError when the window is larger than {@link WINDOW_BYTES_MAX}, or the table holds
   *   {@link WINDOWS_MAX} windows already.
   */
  add(bytes: Uint8Array, address = 0): number {
    if (bytes.length > WINDOW_BYTES_MAX) {
      throw new RangeError(`a window holds at most ${WINDOW_BYTES_MAX} bytes, not ${bytes.length}`);
    }
    const window = this.#free.pop() ?? this.bytes.length;
    if (window === WINDOWS_MAX) throw new RangeError(`a table holds at most ${WINDOWS_MAX} windows`);
    this.bytes[window] = bytes;
    this.views[window] = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.addresses[window] = address;
    return window;
  }

  /**
   * Removes a window; entries that still name it then reach no memory: a use of them does nothing, or throws.
   *
   * @throws RangeError when the table has no such window.
   */
  remove(window: number): void {
    if ((this.views[window] ?? NO_VIEW) === NO_VIEW) throw new RangeError(`no window ${window}`);
    this.bytes[window] = NO_BYTES;
    this.views[window] = NO_VIEW;
    this.addresses[window] = 0;
    this.#free.push(window);
  }

  /** How many windows the table holds now. */
  get count(): number {
    return this.bytes.length - this.#free.length;
  }

  /** Copies `lengthBytes` bytes between two ranges that do not overlap and lie inside their windows. */
  copy(toWindow: number, toOffset: number, fromWindow: number, fromOffset: number, lengthBytes: number): void {
    this.#copyBytes(this, toWindow, toOffset, fromWindow, fromOffset, lengthBytes);
  }

  /** Free indexes, in a stack: a table of any size gives and takes one in the same time. */
  readonly #free: number[] = [];
}

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));
