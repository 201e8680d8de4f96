// The table of floors: imports go down, never up or sideways unless the row says so. This file is data; rules.ts reads it.

/** One package of packages/: its floor, and the other packages its source may import. */
export interface Row {
  readonly floor: number;
  /** Exactly the `@passt-ts/*` dependencies of its package.json, or, where `subset` is set, all that they may be. */
  readonly imports: readonly string[];
  readonly subset?: true;
}

/** Packages on this floor and below are pure: no runtime's API, no clock, no randomness. */
export const highestPureFloor = 3;

/** The only package that may import bun:ffi. */
export const ffiPackage = "linux";

const engine = ["iov", "checksum", "flow", "wire", "net-backend", "address-map"];

const below5: Record<string, Row> = {
  iov: { floor: 0, imports: [] },
  flow: { floor: 0, imports: [] },
  "vhost-user-proto": { floor: 0, imports: [] },
  checksum: { floor: 1, imports: ["iov"] },
  pcap: { floor: 1, imports: ["iov"] },
  "guest-memory": { floor: 1, imports: ["iov"] },
  "net-backend": { floor: 1, imports: ["iov"] },
  "address-map": { floor: 1, imports: ["flow"] },
  wire: { floor: 2, imports: ["iov", "checksum"] },
  "virtio-ring": { floor: 2, imports: ["iov", "guest-memory"] },
  "virtio-net": { floor: 3, imports: ["iov", "virtio-ring", "wire", "net-backend"] },
  "ip-reassembly": { floor: 3, imports: ["iov", "checksum", "wire", "net-backend"] },
  "guest-services": { floor: 3, imports: ["wire", "checksum"] },
  "tcp-vu": { floor: 3, imports: engine },
  "udp-vu": { floor: 3, imports: engine },
  "icmp-vu": { floor: 3, imports: engine },
  linux: { floor: 4, imports: ["iov"] },
};

/** The table. Rows of floor 5 may import everything below. */
export const floors: Readonly<Record<string, Row>> = {
  ...below5,
  "vhost-user-device": { floor: 5, imports: Object.keys(below5), subset: true },
  "backend-sockets": { floor: 5, imports: Object.keys(below5), subset: true },
  "backend-tap": { floor: 5, imports: ["iov", "net-backend", "linux"] },
};
