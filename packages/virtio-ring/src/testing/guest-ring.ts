import { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import { cutIntoWindows } from "@passt-ts/guest-memory/window-cut";
import { WINDOW_BYTES_MAX, WindowTable } from "@passt-ts/iov/windows";
import { DESCRIPTOR_BYTES } from "../descriptor.ts";
import { type PackedRing, packedRing } from "../packed-ring.ts";
import { packedFormat, type RingFormat, type RingParts, splitFormat } from "../ring-format.ts";
import { type SplitRing, splitRing } from "../split-ring.ts";

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

/** A guest of one region at guest address 0, with the parts of one ring at its beginning. */
export interface GuestParts {
  readonly format: RingFormat;
  readonly size: number;
  /** The guest's memory: guest address `a` is `bytes[a]`. */
  readonly bytes: Uint8Array;
  readonly windows: WindowTable;
  readonly memory: GuestMemory;
  readonly parts: RingParts;
  /** The first guest address behind the ring, a multiple of 16. */
  readonly dataAddress: number;
}

/** A guest with a split ring. */
export interface GuestRing extends GuestParts {
  readonly ring: SplitRing;
}

/** A guest with a packed ring. */
export interface GuestPackedRing extends GuestParts {
  readonly ring: PackedRing;
}

/** Bytes of a ring in one piece: its three parts one after the other. */
export function guestRingBytes(size: number, format: RingFormat = splitFormat): number {
  return roundUp(deviceAt(size, format) + format.deviceBytes(size), DESCRIPTOR_BYTES);
}

/** Makes a guest with a split ring, for tests of what lies on a ring. */
export function guestRing(options: GuestRingOptions): GuestRing {
  const guest = guestParts(splitFormat, options);
  const { descriptors, driver, device } = guest.parts;
  return { ...guest, ring: splitRing(guest.size, descriptors, driver, device) };
}

/** Makes a guest with a packed ring. */
export function guestPackedRing(options: GuestRingOptions): GuestPackedRing {
  const guest = guestParts(packedFormat, options);
  const { descriptors, driver, device } = guest.parts;
  return { ...guest, ring: packedRing(guest.size, descriptors, driver, device) };
}

/** Makes a guest with the memory of a ring of either format. */
export function guestParts(format: RingFormat, options: GuestRingOptions): GuestParts {
  const { size, dataBytes = 0, windowBytesMax = WINDOW_BYTES_MAX, windows = new WindowTable() } = options;
  const dataAddress = guestRingBytes(size, format);
  const sizeBytes = dataAddress + dataBytes;
  const bytes = new Uint8Array(options.buffer ?? new ArrayBuffer(sizeBytes), 0, sizeBytes);
  const indices: number[] = [];
  let at = 0;
  for (const windowBytes of cutIntoWindows(sizeBytes, windowBytesMax)) {
    indices.push(windows.add(bytes.subarray(at, at + windowBytes)));
    at += windowBytes;
  }
  const memory = new GuestMemory(windows, [{ guestAddress: 0, userAddress: 0, sizeBytes, windows: indices }]);
  const part = (from: number, lengthBytes: number) => bytes.subarray(from, from + lengthBytes);
  const parts = {
    descriptors: part(0, format.descriptorBytes(size)),
    driver: part(driverAt(size, format), format.driverBytes(size)),
    device: part(deviceAt(size, format), format.deviceBytes(size)),
  };
  return { format, size, bytes, windows, memory, parts, dataAddress };
}

function driverAt(size: number, format: RingFormat): number {
  return roundUp(format.descriptorBytes(size), format.driverAlignment);
}

function deviceAt(size: number, format: RingFormat): number {
  return roundUp(driverAt(size, format) + format.driverBytes(size), format.deviceAlignment);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
