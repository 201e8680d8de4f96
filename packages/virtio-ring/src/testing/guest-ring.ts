import { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import { cutIntoWindows } from "@passt-ts/guest-memory/window-cut";
import { WINDOW_BYTES_MAX, WindowTable } from "@passt-ts/iov/windows";
import {
  availableRingBytes,
  DESCRIPTOR_BYTES,
  descriptorTableBytes,
  type SplitRing,
  splitRing,
  usedRingBytes,
} from "../split-ring.ts";

/** What a {@link guestRing} is made of; tests give what they care about. */
export interface GuestRingOptions {
  /** Descriptors in the ring. */
  readonly size: number;
  /** Bytes behind the ring for buffers and indirect tables. */
  readonly dataBytes?: number;
  /** Window edges lie at its multiples. */
  readonly windowBytesMax?: number;
  /** Memory to use, large enough: for instance a SharedArrayBuffer that another thread uses as well. */
  readonly buffer?: ArrayBufferLike;
  /** The table that gets the memory's windows. */
  readonly windows?: WindowTable;
}

/** A guest of one region at guest address 0, with one split ring at its beginning. */
export interface GuestRing {
  /** The guest's memory: guest address `a` is `bytes[a]`. */
  readonly bytes: Uint8Array;
  readonly windows: WindowTable;
  readonly memory: GuestMemory;
  readonly ring: SplitRing;
  /** The first guest address behind the ring, a multiple of 16. */
  readonly dataAddress: number;
}

/** Bytes of a ring in one piece: its three parts one after the other. */
export function guestRingBytes(size: number): number {
  return roundUp(usedAt(size) + usedRingBytes(size), DESCRIPTOR_BYTES);
}

/** Makes a guest with a ring, for tests of what lies on a ring. */
export function guestRing(options: GuestRingOptions): GuestRing {
  const { size, dataBytes = 0, windowBytesMax = WINDOW_BYTES_MAX, windows = new WindowTable() } = options;
  const dataAddress = guestRingBytes(size);
  const sizeBytes = dataAddress + dataBytes;
  const bytes = new Uint8Array(options.buffer ?? new ArrayBuffer(sizeBytes), 0, sizeBytes);
  const indices: number[] = [];
  let at = 0;
  for (const windowBytes of cutIntoWindows(sizeBytes, windowBytesMax)) {
    indices.push(windows.add(bytes.subarray(at, at + windowBytes)));
    at += windowBytes;
  }
  const memory = new GuestMemory(windows, [{ guestAddress: 0, userAddress: 0, sizeBytes, windows: indices }]);
  const ring = splitRing(
    size,
    bytes.subarray(0, descriptorTableBytes(size)),
    bytes.subarray(availableAt(size), availableAt(size) + availableRingBytes(size)),
    bytes.subarray(usedAt(size), usedAt(size) + usedRingBytes(size)),
  );
  return { bytes, windows, memory, ring, dataAddress };
}

function availableAt(size: number): number {
  return descriptorTableBytes(size);
}

function usedAt(size: number): number {
  return roundUp(availableAt(size) + availableRingBytes(size), 4);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
