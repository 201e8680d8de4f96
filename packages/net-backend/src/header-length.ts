import type { NetBackend, NetHeaderLength } from "./backend.ts";

/** Says whether a virtio-net header may have this length: 0, 10 or 12 bytes and nothing else. */
export function isNetHeaderLength(lengthBytes: number): lengthBytes is NetHeaderLength {
  return lengthBytes === 0 || lengthBytes === 10 || lengthBytes === 12;
}

/**
 * The length of the header that a driver uses: `num_buffers` is there with VIRTIO_F_VERSION_1 or
 * VIRTIO_NET_F_MRG_RXBUF (virtio 1.3, 5.1.6.1).
 */
export function negotiatedHeaderLength(version1: boolean, mergeable: boolean): 10 | 12 {
  return version1 || mergeable ? 12 : 10;
}

/**
 * Tells a back-end what was negotiated. One that refuses is told to work without any capability.
 *
 * Returns the capabilities in force, a bit set of `Capability` that has only bits which the back-end offers; or -1,
 * and nothing changed, for a header length that no virtio-net header has.
 */
export function setCapabilities(backend: NetBackend, capabilities: number, headerLength: number): number {
  if (!isNetHeaderLength(headerLength)) return -1;
  const offered = capabilities & backend.capabilities;
  if (backend.setCapabilities(offered, headerLength) === 0) return offered;
  backend.setCapabilities(0, headerLength);
  return 0;
}
