import type { DeviceQueue } from "../device-queue.ts";
import type { DriverQueue, IndirectTables } from "../driver-queue.ts";
import { PackedDriverQueue } from "../packed-driver-queue.ts";
import { packedRing } from "../packed-ring.ts";
import { packedFormat, type RingFormat, type RingParts, splitFormat } from "../ring-format.ts";
import { SplitDriverQueue } from "../split-driver-queue.ts";
import { splitRing } from "../split-ring.ts";
import type { GuestParts } from "./guest-ring.ts";

/** What a queue can be, besides its size: both sides have negotiated it. */
export interface QueueKind {
  readonly format: RingFormat;
  readonly eventIndex: boolean;
  readonly inOrder: boolean;
}

/** What the driver's side is made of, besides its parts. */
export interface DriverQueueOptions {
  readonly eventIndex: boolean;
  readonly inOrder: boolean;
  readonly indirectTables: IndirectTables | null;
  /** As a device's: see `DeviceQueueOptions`. */
  readonly startIndex: number;
}

/** All kinds of queues, for one test body that holds for each. */
export const QUEUE_KINDS: readonly QueueKind[] = [splitFormat, packedFormat].flatMap((format) =>
  [false, true].flatMap((eventIndex) => [false, true].map((inOrder) => ({ format, eventIndex, inOrder }))),
);

/** A kind in words, for the name of a test. */
export function describeKind({ format, eventIndex, inOrder }: QueueKind): string {
  return `${format.name}, ${eventIndex ? "event index" : "flags"}${inOrder ? ", in order" : ""}`;
}

/** Makes the driver's side of a queue, and with it a fresh ring. */
export function makeDriverQueue(
  format: RingFormat,
  size: number,
  parts: RingParts,
  options: DriverQueueOptions,
): DriverQueue {
  const { descriptors, driver, device } = parts;
  const startIndex = options.startIndex & 0xffff;
  return format.name === "packed"
    ? new PackedDriverQueue({ ...options, startIndex, ring: packedRing(size, descriptors, driver, device) })
    : new SplitDriverQueue({ ...options, startIndex, ring: splitRing(size, descriptors, driver, device) });
}

/** Indirect tables of `tableSize` descriptors at the beginning of a guest's data. */
export function tablesIn(guest: GuestParts, tableSize: number): IndirectTables {
  const { bytes, dataAddress, size } = guest;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + dataAddress, size * tableSize * 4);
  return { words, guestAddress: dataAddress, tableSize };
}

/** Both sides of a queue. */
export interface QueuePair {
  readonly driver: DriverQueue;
  readonly device: DeviceQueue;
}

/** Makes both sides of a queue in a guest; its data must hold the tables. */
export function makeQueues(
  guest: GuestParts,
  kind: QueueKind,
  tables: IndirectTables | null = null,
  startIndex: number = kind.format.newRingBase,
): QueuePair {
  const { eventIndex, inOrder, format } = kind;
  const { size, parts, memory } = guest;
  const driver = makeDriverQueue(format, size, parts, { eventIndex, inOrder, indirectTables: tables, startIndex });
  const indirect = tables !== null;
  return { driver, device: format.deviceQueue(size, parts, { memory, eventIndex, indirect, inOrder, startIndex }) };
}
