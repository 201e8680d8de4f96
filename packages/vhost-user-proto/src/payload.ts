/**
 * Codecs of the message payloads, all in native (little-endian) byte order (vhost-user, "Payload"). The other side of a
 * socket writes these bytes: a decoder checks the length and the ranges of what it returns and throws VhostUserError,
 * nothing else. What an encoder returns belongs to the caller; so does what a decoder returns, which never lies in the
 * payload.
 */
import { VhostUserError } from "./error.ts";

/** Bytes of a memory region description inside a payload. */
export const REGION_BYTES: 32 = 32;
/** The memory regions that one SET_MEM_TABLE carries at most. */
export const REGIONS_MAX: 8 = 8;
/** A ring and one number about it: size, base, or 0/1. */
export interface VringState {
  readonly index: number;
  readonly value: number;
}

/** Where the parts of a ring are, as addresses of the front-end; `flags` bit 0 asks for logging to `logAddress`. */
export interface VringAddress {
  readonly index: number;
  readonly flags: number;
  readonly descriptors: bigint;
  readonly used: bigint;
  readonly available: bigint;
  readonly logAddress: bigint;
}

/** Which ring a kick, call or error fd belongs to; `hasFd` false: none comes, the ring is to be polled. */
export interface VringFd {
  readonly index: number;
  readonly hasFd: boolean;
}

/** One piece of guest memory: where the guest and the front-end see it, and where it lies in the file passed with it. */
export interface MemoryRegion {
  readonly guestAddress: bigint;
  readonly sizeBytes: bigint;
  readonly userAddress: bigint;
  readonly mmapOffset: bigint;
}

/** Size and offset of a dirty log in the file that comes with it. */
export interface LogArea {
  readonly sizeBytes: bigint;
  readonly mmapOffset: bigint;
}

/** A buffer that outlives the back-end: where it lies in the file that comes with it, and how many rings it is for. */
export interface InflightArea {
  readonly sizeBytes: bigint;
  readonly mmapOffset: bigint;
  readonly ringCount: number;
  /** Descriptors of each ring. */
  readonly ringSize: number;
}

const U64_END = 1n << 64n;
const MAC_BYTES = 6;

/** A view of a payload that has at least so many bytes. @throws VhostUserError BAD_SIZE that says `what` it is. */
export function viewOf(payload: Uint8Array, bytes: number, what: string): DataView {
  if (payload.length < bytes) {
    throw new VhostUserError("BAD_SIZE", `${what} of ${payload.length} bytes, ${bytes} needed`);
  }
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** A payload of one u64, taken modulo 2^64. */
export function encodeU64(value: bigint | number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigUint64(0, BigInt(value), true);
  return payload;
}

/** The u64 of a payload. @throws VhostUserError BAD_SIZE */
export function decodeU64(payload: Uint8Array): bigint {
  return viewOf(payload, 8, "u64").getBigUint64(0, true);
}

/** 8 bytes: SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ENABLE and their like. */
export function encodeVringState(state: VringState): Uint8Array {
  const payload = new Uint8Array(8);
  const view = new DataView(payload.buffer);
  view.setUint32(0, state.index, true);
  view.setUint32(4, state.value, true);
  return payload;
}

/** The ring and the number of such a payload, both u32. @throws VhostUserError BAD_SIZE */
export function decodeVringState(payload: Uint8Array): VringState {
  const view = viewOf(payload, 8, "vring state");
  return { index: view.getUint32(0, true), value: view.getUint32(4, true) };
}

/** The 40 bytes of SET_VRING_ADDR. */
export function encodeVringAddress(address: VringAddress): Uint8Array {
  const payload = new Uint8Array(40);
  const view = new DataView(payload.buffer);
  view.setUint32(0, address.index, true);
  view.setUint32(4, address.flags, true);
  view.setBigUint64(8, address.descriptors, true);
  view.setBigUint64(16, address.used, true);
  view.setBigUint64(24, address.available, true);
  view.setBigUint64(32, address.logAddress, true);
  return payload;
}

/** The addresses of SET_VRING_ADDR, unchecked: only who has the memory table can tell. @throws VhostUserError BAD_SIZE */
export function decodeVringAddress(payload: Uint8Array): VringAddress {
  const view = viewOf(payload, 40, "vring address");
  return {
    index: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    descriptors: view.getBigUint64(8, true),
    used: view.getBigUint64(16, true),
    available: view.getBigUint64(24, true),
    logAddress: view.getBigUint64(32, true),
  };
}

/** The u64 of SEND_RARP: a MAC address of 6 bytes, first byte first, and 2 bytes of 0. @throws RangeError */
export function encodeMacAddress(address: Uint8Array): Uint8Array {
  if (address.length !== MAC_BYTES) throw new RangeError(`a MAC address of ${address.length} bytes`);
  const payload = new Uint8Array(8);
  payload.set(address);
  return payload;
}

/** The 6 bytes of the MAC address in SEND_RARP. @throws VhostUserError BAD_SIZE */
export function decodeMacAddress(payload: Uint8Array): Uint8Array {
  viewOf(payload, 8, "MAC address");
  return payload.slice(0, MAC_BYTES);
}

/** Bit 8 of the u64 of SET_VRING_KICK, _CALL and _ERR: no file descriptor comes with the message. */
const NO_FD = 0x100;

/** The u64 of SET_VRING_KICK, _CALL and _ERR; of the index the low 8 bits are kept. */
export function encodeVringFd(fd: VringFd): Uint8Array {
  return encodeU64((fd.index & 0xff) | (fd.hasFd ? 0 : NO_FD));
}

/** Which ring SET_VRING_KICK, _CALL or _ERR is about, and whether a descriptor comes. @throws VhostUserError BAD_SIZE */
export function decodeVringFd(payload: Uint8Array): VringFd {
  const low = viewOf(payload, 8, "vring fd").getUint32(0, true);
  return { index: low & 0xff, hasFd: (low & NO_FD) === 0 };
}

function writeRegion(view: DataView, at: number, region: MemoryRegion): void {
  view.setBigUint64(at, region.guestAddress, true);
  view.setBigUint64(at + 8, region.sizeBytes, true);
  view.setBigUint64(at + 16, region.userAddress, true);
  view.setBigUint64(at + 24, region.mmapOffset, true);
}

/** Reads one region; empty ones and those that pass the end of the 64-bit address space are refused. */
function readRegion(view: DataView, at: number): MemoryRegion {
  const region = {
    guestAddress: view.getBigUint64(at, true),
    sizeBytes: view.getBigUint64(at + 8, true),
    userAddress: view.getBigUint64(at + 16, true),
    mmapOffset: view.getBigUint64(at + 24, true),
  };
  const { sizeBytes } = region;
  if (sizeBytes === 0n) throw new VhostUserError("BAD_MEMORY", "memory region of 0 bytes");
  if (
    region.guestAddress + sizeBytes > U64_END ||
    region.userAddress + sizeBytes > U64_END ||
    region.mmapOffset + sizeBytes > U64_END
  ) {
    throw new VhostUserError("BAD_MEMORY", "memory region passes the end of the address space");
  }
  return region;
}

function overlap(a: bigint, aBytes: bigint, b: bigint, bBytes: bigint): boolean {
  return a < b + bBytes && b < a + aBytes;
}

/**
 * The payload of SET_MEM_TABLE: u32 count, u32 padding, the regions.
 *
 * @param paddedRegions regions that the payload is sized for, when more than it names (User-Mode Linux: 2).
 */
export function encodeMemoryTable(
  regions: readonly MemoryRegion[],
  paddedRegions: number = regions.length,
): Uint8Array {
  const payload = new Uint8Array(8 + REGION_BYTES * Math.max(paddedRegions, regions.length));
  const view = new DataView(payload.buffer);
  view.setUint32(0, regions.length, true);
  for (const [i, region] of regions.entries()) writeRegion(view, 8 + i * REGION_BYTES, region);
  return payload;
}

/**
 * The regions of a SET_MEM_TABLE, none overlapping another in guest addresses. Front-end addresses may repeat: one
 * piece of memory may appear twice in a guest.
 *
 * The payload may be longer than the regions it names: User-Mode Linux always sends room for two.
 *
 * @throws VhostUserError BAD_SIZE, BAD_MEMORY
 */
export function decodeMemoryTable(payload: Uint8Array): MemoryRegion[] {
  const count = viewOf(payload, 8, "memory table").getUint32(0, true);
  if (count > REGIONS_MAX) throw new VhostUserError("BAD_MEMORY", `${count} memory regions, at most ${REGIONS_MAX}`);
  const view = viewOf(payload, 8 + REGION_BYTES * count, "memory table");
  const regions: MemoryRegion[] = [];
  for (let i = 0; i < count; i++) {
    const region = readRegion(view, 8 + i * REGION_BYTES);
    for (const other of regions) {
      if (overlap(region.guestAddress, region.sizeBytes, other.guestAddress, other.sizeBytes)) {
        throw new VhostUserError("BAD_MEMORY", `memory region ${i} overlaps an earlier one`);
      }
    }
    regions.push(region);
  }
  return regions;
}

/** The payload of ADD_MEM_REG and REM_MEM_REG: 8 bytes of padding and one region. */
export function encodeMemoryRegion(region: MemoryRegion): Uint8Array {
  const payload = new Uint8Array(8 + REGION_BYTES);
  writeRegion(new DataView(payload.buffer), 8, region);
  return payload;
}

/** The region of ADD_MEM_REG and REM_MEM_REG. @throws VhostUserError BAD_SIZE, BAD_MEMORY */
export function decodeMemoryRegion(payload: Uint8Array): MemoryRegion {
  return readRegion(viewOf(payload, 8 + REGION_BYTES, "memory region"), 8);
}

/** The 16 bytes of SET_LOG_BASE with LOG_SHMFD. */
export function encodeLogArea(area: LogArea): Uint8Array {
  const payload = new Uint8Array(16);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, area.sizeBytes, true);
  view.setBigUint64(8, area.mmapOffset, true);
  return payload;
}

/** The log area of SET_LOG_BASE with LOG_SHMFD. @throws VhostUserError BAD_SIZE, BAD_VALUE when its end overflows. */
export function decodeLogArea(payload: Uint8Array): LogArea {
  const view = viewOf(payload, 16, "log area");
  const area = { sizeBytes: view.getBigUint64(0, true), mmapOffset: view.getBigUint64(8, true) };
  if (area.sizeBytes + area.mmapOffset > U64_END) throw new VhostUserError("BAD_VALUE", "log area overflows");
  return area;
}

/** Bytes of an inflight description; C pads it to {@link INFLIGHT_PADDED_BYTES}. */
const INFLIGHT_BYTES = 20;
const INFLIGHT_PADDED_BYTES = 24;

/** The payload of GET_INFLIGHT_FD and SET_INFLIGHT_FD: u64 size, u64 offset, u16 rings, u16 descriptors, padding. */
export function encodeInflightArea(area: InflightArea): Uint8Array {
  const payload = new Uint8Array(INFLIGHT_PADDED_BYTES);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, area.sizeBytes, true);
  view.setBigUint64(8, area.mmapOffset, true);
  view.setUint16(16, area.ringCount, true);
  view.setUint16(18, area.ringSize, true);
  return payload;
}

/** The area of such a payload, padded or not. @throws VhostUserError BAD_SIZE, BAD_VALUE when its end overflows. */
export function decodeInflightArea(payload: Uint8Array): InflightArea {
  const view = viewOf(payload, INFLIGHT_BYTES, "inflight area");
  const area = {
    sizeBytes: view.getBigUint64(0, true),
    mmapOffset: view.getBigUint64(8, true),
    ringCount: view.getUint16(16, true),
    ringSize: view.getUint16(18, true),
  };
  if (area.sizeBytes + area.mmapOffset > U64_END) throw new VhostUserError("BAD_VALUE", "inflight area overflows");
  return area;
}
