/** Feature bits as bit numbers; {@link featureBit} makes the 64-bit mask of one. Control plane only, hence BigInt. */

/** virtio-net (virtio 1.3, 5.1.3), the transport independent bits (6), and the two that vhost-user claims. */
export const VirtioFeature = {
  CSUM: 0,
  GUEST_CSUM: 1,
  CTRL_GUEST_OFFLOADS: 2,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  GUEST_UFO: 10,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  HOST_UFO: 14,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  CTRL_RX_EXTRA: 20,
  GUEST_ANNOUNCE: 21,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
  NOTIFY_ON_EMPTY: 24,
  /** Dirty memory is logged (vhost, not virtio). */
  VHOST_LOG_ALL: 26,
  ANY_LAYOUT: 27,
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  /** The back-end speaks protocol features (vhost-user, not virtio). */
  PROTOCOL_FEATURES: 30,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  IN_ORDER: 35,
  ORDER_PLATFORM: 36,
  SR_IOV: 37,
  NOTIFICATION_DATA: 38,
  NOTIF_CONFIG_DATA: 39,
  RING_RESET: 40,
  HASH_TUNNEL: 51,
  VQ_NOTF_COAL: 52,
  NOTF_COAL: 53,
  GUEST_USO4: 54,
  GUEST_USO6: 55,
  HOST_USO: 56,
  HASH_REPORT: 57,
  GUEST_HDRLEN: 59,
  RSS: 60,
  RSC_EXT: 61,
  STANDBY: 62,
  SPEED_DUPLEX: 63,
} as const;

/** vhost-user protocol features ("Protocol features"). */
export const ProtocolFeature = {
  MQ: 0,
  LOG_SHMFD: 1,
  RARP: 2,
  REPLY_ACK: 3,
  MTU: 4,
  BACKEND_REQ: 5,
  CROSS_ENDIAN: 6,
  CRYPTO_SESSION: 7,
  PAGEFAULT: 8,
  CONFIG: 9,
  BACKEND_SEND_FD: 10,
  HOST_NOTIFIER: 11,
  INFLIGHT_SHMFD: 12,
  RESET_DEVICE: 13,
  INBAND_NOTIFICATIONS: 14,
  CONFIGURE_MEM_SLOTS: 15,
  STATUS: 16,
  XEN_MMAP: 17,
  SHARED_OBJECT: 18,
  DEVICE_STATE: 19,
  GET_VRING_BASE_INFLIGHT: 20,
  GPA_ADDRESSES: 21,
  SHMEM: 22,
  GET_VRING_BASE_SKIP_DRAIN: 23,
} as const;

/** The 64-bit mask with bit number `bit` set. */
export function featureBit(bit: number): bigint {
  return 1n << BigInt(bit);
}

/** The mask of several bit numbers. */
export function featureMask(...bits: number[]): bigint {
  let mask = 0n;
  for (const bit of bits) mask |= featureBit(bit);
  return mask;
}

/** Whether bit number `bit` is set in `mask`. */
export function hasFeature(mask: bigint, bit: number): boolean {
  return (mask & featureBit(bit)) !== 0n;
}

/** The set bits of `mask` by name, unknown ones by number, in rising order; for logs. */
export function featureNames(mask: bigint, table: Readonly<Record<string, number>>): string[] {
  const byBit = new Map(Object.entries(table).map(([name, bit]) => [bit, name]));
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) if (hasFeature(mask, bit)) names.push(byBit.get(bit) ?? `bit ${bit}`);
  return names;
}
