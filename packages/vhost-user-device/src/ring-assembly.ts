/** From what a front-end said about a ring to a queue over its memory. */
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { VringAddress } from "@passt-ts/vhost-user-proto/payload";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { packedRing } from "@passt-ts/virtio-ring/packed-ring";
import { type RingParts, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import { splitRing } from "@passt-ts/virtio-ring/split-ring";
import type { DirtyLog } from "./dirty-log.ts";
import type { Negotiated } from "./features.ts";
import type { InflightBuffer } from "./inflight-buffer.ts";
import { PackedRegion, packedRegionBytes, TrackedPackedQueue } from "./inflight-packed.ts";
import { SplitRegion, splitRegionBytes, TrackedSplitQueue } from "./inflight-split.ts";
import { type LoggedPart, LoggedQueue } from "./logged-queue.ts";
import type { MemoryMap } from "./memory-map.ts";
import { packedRestartPosition, splitRestartIndex } from "./restart-point.ts";

/** Flags of a ring address: writes to the used ring are logged (VHOST_VRING_F_LOG). */
export const LOG_RING = 1;

/** What rings are made in; it belongs to the session. */
export interface RingSurroundings {
  readonly map: MemoryMap | null;
  readonly negotiated: Negotiated;
  /** Where writes are logged; null while the driver's features do not ask for it. */
  readonly dirtyLog: DirtyLog | null;
  readonly inflight: InflightBuffer | null;
}

/** What a front-end said about one ring. */
export interface RingDescription {
  readonly index: number;
  readonly size: number;
  readonly address: VringAddress | null;
}

/** A description of which nothing is missing. */
interface Whole {
  readonly index: number;
  readonly size: number;
  readonly address: VringAddress;
  readonly map: MemoryMap;
}

/** @throws VhostUserError BAD_STATE when memory, size or addresses are missing. */
function whole(ring: RingDescription, map: MemoryMap | null): Whole {
  const { index, size, address } = ring;
  if (map === null) throw new VhostUserError("BAD_STATE", `ring ${index}: no memory table yet`);
  if (size === 0) throw new VhostUserError("BAD_STATE", `ring ${index}: no size yet`);
  if (address === null) throw new VhostUserError("BAD_STATE", `ring ${index}: no addresses yet`);
  return { index, size, address, map };
}

/**
 * Makes the views of a ring's three parts.
 *
 * @throws VhostUserError BAD_STATE when something is missing, BAD_VALUE for a size that the format does not have,
 *   BAD_RING when a part is not mapped in one region or misaligned.
 */
export function locateRing(ring: RingDescription, { map: present, negotiated }: RingSurroundings): RingParts {
  const { index, size, address, map } = whole(ring, present);
  const { format } = negotiated;
  if (!format.isSize(size)) throw new VhostUserError("BAD_VALUE", `ring ${index}: size ${size}`);
  const part = (name: string, at: bigint, lengthBytes: number, alignment: number): Uint8Array => {
    const view = map.view(at, lengthBytes, alignment);
    if (view !== null) return view;
    throw new VhostUserError(
      "BAD_RING",
      `ring ${index}: ${name} of ${lengthBytes} bytes at 0x${at.toString(16)} is not mapped or misaligned`,
    );
  };
  const names = format === splitFormat ? SPLIT_NAMES : PACKED_NAMES;
  return {
    descriptors: part(names[0], address.descriptors, format.descriptorBytes(size), format.descriptorAlignment),
    driver: part(names[1], address.available, format.driverBytes(size), format.driverAlignment),
    device: part(names[2], address.used, format.deviceBytes(size), format.deviceAlignment),
  };
}

const SPLIT_NAMES = ["descriptor table", "available ring", "used ring"] as const;
const PACKED_NAMES = ["descriptor ring", "driver event suppression", "device event suppression"] as const;

/**
 * Makes a queue that is not yet in use: it goes on at `startIndex`.
 *
 * @param first it is the first start of the ring for this front-end: where it really goes on is found out from its
 *   memory, and from the in-flight buffer, which know better than a front-end whose last back-end was killed.
 * @param onGuess hears of a place to go on at that neither memory nor front-end vouches for.
 * @throws VhostUserError as {@link locateRing}, and BAD_VALUE, BAD_STATE, BAD_RING.
 */
export function assembleQueue(
  ring: RingDescription,
  surroundings: RingSurroundings,
  startIndex: number,
  first: boolean,
  onGuess: (position: number) => void = () => {},
): DeviceQueue {
  const parts = locateRing(ring, surroundings);
  const { index, size, map } = whole(ring, surroundings.map);
  const { format, eventIndex, indirect, inOrder } = surroundings.negotiated;
  if (!format.isBase(startIndex, size)) throw new VhostUserError("BAD_VALUE", `ring ${index}: base ${startIndex}`);
  const logged = loggedParts(ring, surroundings);
  const options = { memory: map.memory, eventIndex, indirect, inOrder };
  const plain = (start: number): DeviceQueue => format.deviceQueue(size, parts, { ...options, startIndex: start });
  const tracked =
    format === splitFormat
      ? trackSplit(ring, parts, surroundings, startIndex, first, plain)
      : trackPacked(ring, parts, surroundings, startIndex, first ? onGuess : null, plain);
  if (surroundings.dirtyLog === null) return tracked;
  return new LoggedQueue(tracked, {
    log: surroundings.dirtyLog,
    windowAddresses: map.windowAddresses,
    parts: logged,
  });
}

type MakeQueue = (startIndex: number) => DeviceQueue;

function trackSplit(
  { index, size }: RingDescription,
  { descriptors, driver, device }: RingParts,
  { inflight }: RingSurroundings,
  base: number,
  first: boolean,
  make: MakeQueue,
): DeviceQueue {
  const ring = splitRing(size, descriptors, driver, device);
  const bytes = inflight?.region(index, size, splitRegionBytes(size)) ?? null;
  const otherwise = (): number => (first ? splitRestartIndex(ring, base) : base);
  if (bytes === null || inflight === null) return make(otherwise());
  const region = new SplitRegion(bytes, ring);
  const recovered = first ? region.recover() : -1;
  if (recovered === -2) {
    throw new VhostUserError("BAD_STATE", `ring ${index}: its last back-end used chains out of order`);
  }
  const start = recovered >= 0 ? recovered : otherwise();
  if (recovered < 0) region.begin(start);
  return new TrackedSplitQueue(make(start), region);
}

function trackPacked(
  { index, size }: RingDescription,
  { descriptors, driver, device }: RingParts,
  { inflight, negotiated }: RingSurroundings,
  base: number,
  onGuess: ((position: number) => void) | null,
  make: MakeQueue,
): DeviceQueue {
  const ring = packedRing(size, descriptors, driver, device);
  const bytes = inflight?.region(index, size, packedRegionBytes(size)) ?? null;
  const otherwise = (): number => {
    if (onGuess === null) return base & 0xffff;
    const { position, certain } = packedRestartPosition(ring, base, negotiated.inOrder);
    if (!certain) onGuess(position);
    return position;
  };
  if (bytes === null || inflight === null) return make(otherwise());
  const region = new PackedRegion(bytes, ring);
  const recovered = onGuess === null ? -1 : region.recover();
  const start = recovered >= 0 ? recovered : otherwise();
  if (recovered < 0) region.begin(start);
  return new TrackedPackedQueue(make(start), region);
}

/** The parts of a ring whose changes the front-end wants to be logged. */
function loggedParts(ring: RingDescription, { map, negotiated, dirtyLog }: RingSurroundings): LoggedPart[] {
  const { index, size, address } = ring;
  if (dirtyLog === null || map === null || address === null || (address.flags & LOG_RING) === 0) return [];
  const { format } = negotiated;
  // The device's part by the address meant for the log; it need not be one of guest memory.
  const parts = [{ guestAddress: Number(address.logAddress), lengthBytes: format.deviceBytes(size) }];
  if (format !== splitFormat) {
    const lengthBytes = format.descriptorBytes(size);
    const guestAddress = map.guestAddressOf(address.descriptors, lengthBytes);
    if (guestAddress !== null) parts.push({ guestAddress, lengthBytes });
  }
  for (const { guestAddress, lengthBytes } of parts) {
    if (guestAddress + lengthBytes <= dirtyLog.endAddress) continue;
    throw new VhostUserError("BAD_RING", `ring ${index}: log address 0x${guestAddress.toString(16)} is behind the log`);
  }
  return parts;
}
