import { CONFIG_BYTES_MAX } from "@passt-ts/vhost-user-proto/config-payload";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";

/** Offsets in the configuration space of a network device (virtio 1.3, 5.1.4); all fields little-endian. */
const Field = { mac: 0, status: 6, maxVirtqueuePairs: 8, mtu: 10 } as const;

/** Bits of the status field. */
const LINK_UP = 1;

/** The range of the mtu field (virtio 1.3, 5.1.4.1 and the u16 it is). */
export const MTU_MIN = 68;
export const MTU_MAX = 65535;

/** What a network device says about itself. */
export interface NetConfig {
  /** The guest's MAC address, 6 bytes; without it the front-end or the driver chooses one. */
  readonly macAddress?: Uint8Array;
  /** The MTU that the driver is to use. */
  readonly mtu?: number;
}

/** The configuration space of a network device, as bytes that a front-end reads. */
export class NetConfigSpace {
  /** {@link CONFIG_BYTES_MAX} bytes, zeros behind the fields that exist. */
  readonly bytes: Uint8Array = new Uint8Array(CONFIG_BYTES_MAX);
  /** The virtio features whose fields are filled in. */
  readonly features: bigint;
  readonly #view: DataView = new DataView(this.bytes.buffer);

  /** @throws RangeError for a MAC address that has not 6 bytes, or an MTU out of range. */
  constructor(config: NetConfig) {
    const { macAddress, mtu } = config;
    let features = featureMask(VirtioFeature.STATUS);
    if (macAddress !== undefined) {
      if (macAddress.length !== 6) throw new RangeError(`a MAC address of ${macAddress.length} bytes`);
      this.bytes.set(macAddress, Field.mac);
      features |= featureMask(VirtioFeature.MAC);
    }
    this.#view.setUint16(Field.status, LINK_UP, true);
    this.#view.setUint16(Field.maxVirtqueuePairs, 1, true);
    if (mtu !== undefined) {
      if (!this.setMtu(mtu)) throw new RangeError(`an MTU of ${mtu}`);
      features |= featureMask(VirtioFeature.MTU);
    }
    this.features = features;
  }

  /** Sets the mtu field; false, and nothing changed, when it is out of range. */
  setMtu(mtu: number): boolean {
    if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX) return false;
    this.#view.setUint16(Field.mtu, mtu, true);
    return true;
  }

  /** A copy of `sizeBytes` bytes from `offset` on; the caller has checked that they lie in the space. */
  read(offset: number, sizeBytes: number): Uint8Array {
    return this.bytes.slice(offset, offset + sizeBytes);
  }

  /** Overwrites the bytes from `offset` on, as live migration may. */
  restore(offset: number, contents: Uint8Array): void {
    this.bytes.set(contents, offset);
  }
}
