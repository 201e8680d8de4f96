import { addSeals, createMemoryFile, Seal } from "@passt-ts/linux/memory-file";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { InflightArea } from "@passt-ts/vhost-user-proto/payload";
import { QUEUE_SIZE_MAX } from "@passt-ts/virtio-ring/descriptor";
import { packedRegionBytes } from "./inflight-packed.ts";
import { SharedFile } from "./shared-file.ts";

/** Regions begin at its multiples, so that no two rings share a line of the cache. */
const REGION_ALIGNMENT = 64;

/** More rings than any front-end has: its number decides how much memory is set aside. */
const RINGS_MAX = 256;

/** Makes the buffer that a front-end asks for (GET_INFLIGHT_FD): large enough for rings of either format, all zeros. */
export function createInflightBuffer(wanted: InflightArea): { readonly area: InflightArea; readonly file: OwnedFd } {
  const { ringCount, ringSize } = wanted;
  if (ringCount === 0 || ringCount > RINGS_MAX || ringSize === 0 || ringSize > QUEUE_SIZE_MAX) {
    throw new VhostUserError("BAD_VALUE", `an in-flight buffer for ${ringCount} rings of ${ringSize} descriptors`);
  }
  const regionBytes = Math.ceil(packedRegionBytes(ringSize) / REGION_ALIGNMENT) * REGION_ALIGNMENT;
  const sizeBytes = regionBytes * ringCount;
  const file = createMemoryFile("inflight", sizeBytes);
  addSeals(file.fd, Seal.shrink | Seal.grow | Seal.seal);
  return { area: { sizeBytes: BigInt(sizeBytes), mmapOffset: 0n, ringCount, ringSize }, file };
}

/** The buffer that a front-end gives to each back-end that serves its guest (SET_INFLIGHT_FD): a region for each ring. */
export class InflightBuffer implements Disposable {
  readonly area: InflightArea;
  readonly #file: SharedFile;
  readonly #regionBytes: number;

  /** @throws VhostUserError, SystemError; the descriptor is only borrowed. */
  constructor(fd: number, area: InflightArea) {
    const { ringCount, ringSize, sizeBytes, mmapOffset } = area;
    if (ringCount === 0 || ringSize === 0 || mmapOffset % 8n !== 0n) {
      throw new VhostUserError("BAD_VALUE", `an in-flight buffer for ${ringCount} rings of ${ringSize} descriptors`);
    }
    this.area = area;
    this.#file = new SharedFile("an in-flight buffer", fd, mmapOffset, sizeBytes);
    // Whoever made the buffer gave each ring as much; rings begin at a multiple of 8.
    this.#regionBytes = Math.floor(Number(sizeBytes) / ringCount / 8) * 8;
  }

  /**
   * The region of a ring, lent until {@link InflightBuffer.close}; null when the buffer is not for that ring.
   *
   * @throws VhostUserError BAD_STATE when the ring has more descriptors than the buffer is for.
   */
  region(index: number, ringSize: number, neededBytes: number): Uint8Array | null {
    if (index >= this.area.ringCount) return null;
    if (ringSize > this.area.ringSize || neededBytes > this.#regionBytes) {
      throw new VhostUserError("BAD_STATE", `ring ${index}: the in-flight buffer is too small`);
    }
    const at = index * this.#regionBytes;
    return this.#file.bytes.subarray(at, at + neededBytes);
  }

  /** Unmaps it; what is still tracked in it throws. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
