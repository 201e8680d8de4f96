/**
 * Neighbor discovery messages and options (RFC 4861, RFC 8106). The guest writes the solicitations; options are walked
 * with bounds, at most one step for each 8 bytes.
 */
import { writeIpv6Address } from "./ip-address.ts";
import { MAC_BYTES, writeMac } from "./mac.ts";

/** Offsets from the ICMPv6 header (RFC 4861 sections 4.1 to 4.4), and where the options begin. */
export const RouterSolicitation = { options: 8 } as const;
export const RouterAdvertisement = {
  hopLimit: 4,
  flags: 5,
  lifetime: 6,
  reachableTime: 8,
  retransmitTimer: 12,
  options: 16,
} as const;
export const NeighborSolicitation = { target: 8, options: 24 } as const;
export const NeighborAdvertisement = { flags: 4, target: 8, options: 24 } as const;

/** The byte at {@link RouterAdvertisement.flags}: addresses, other configuration by DHCPv6. */
export const RouterFlag = { managed: 0x80, other: 0x40 } as const;

/** The byte at {@link NeighborAdvertisement.flags}. */
export const NeighborFlag = { router: 0x80, solicited: 0x40, override: 0x20 } as const;

/** Option types (RFC 4861 section 4.6, RFC 8106 section 5). */
export const NdpOptionType = {
  sourceLinkLayer: 1,
  targetLinkLayer: 2,
  prefixInformation: 3,
  redirectedHeader: 4,
  mtu: 5,
  recursiveDnsServers: 25,
  dnsSearchList: 31,
} as const;

/** Flags of a prefix information option. */
export const PrefixFlag = { onLink: 0x80, autonomous: 0x40 } as const;

/** A lifetime that never ends. */
export const NDP_LIFETIME_INFINITE = 0xffff_ffff;

/** The words that every solicited-node multicast address begins with, ff02::1:ff00:0 (RFC 4291 section 2.7.1). */
const SOLICITED_NODE_PREFIX = [0xff02_0000, 0, 1, 0xff00_0000] as const;

/** Bytes of an option with one link-layer address. */
export const NDP_LINK_LAYER_BYTES = 8;

/** The hop limit of every valid neighbor discovery message: it came from no router (RFC 4861 section 6.1.1). */
export const NDP_HOP_LIMIT = 255;

/**
 * Whether the options from `at` to `end` are well formed: none has length 0 and the last ends at `end` (RFC 4861
 * section 6.1.1). After true, {@link findNdpOption} walks them safely.
 */
export function checkNdpOptions(view: DataView, at: number, end: number): boolean {
  while (end - at >= 8) {
    const optionBytes = view.getUint8(at + 1) * 8;
    if (optionBytes === 0 || optionBytes > end - at) return false;
    at += optionBytes;
  }
  return at === end;
}

/** The offset of the first option of `type` among those from `at` to `end`, or -1; they were checked. */
export function findNdpOption(view: DataView, at: number, end: number, type: number): number {
  while (at < end) {
    if (view.getUint8(at) === type) return at;
    at += view.getUint8(at + 1) * 8;
  }
  return -1;
}

/** Writes a link-layer address option at `at`; returns the offset behind it. */
export function writeNdpLinkLayer(view: DataView, at: number, type: number, mac: Uint8Array): number {
  view.setUint16(at, (type << 8) | 1);
  writeMac(view, at + 2, mac);
  return at + 2 + MAC_BYTES;
}

/**
 * Writes a prefix information option at `at`, bits of the address behind the prefix zeroed; returns the offset behind
 * it.
 *
 * @param flags a bit set of {@link PrefixFlag}.
 * @param address words `addressAt` to `addressAt + 3`: any address with the prefix.
 */
export function writeNdpPrefix(
  view: DataView,
  at: number,
  prefixLength: number,
  flags: number,
  validSeconds: number,
  preferredSeconds: number,
  address: Uint32Array,
  addressAt: number,
): number {
  view.setUint16(at, (NdpOptionType.prefixInformation << 8) | 4);
  view.setUint8(at + 2, prefixLength);
  view.setUint8(at + 3, flags);
  view.setUint32(at + 4, validSeconds);
  view.setUint32(at + 8, preferredSeconds);
  view.setUint32(at + 12, 0);
  for (let i = 0; i < 4; i++) {
    const bits = Math.min(Math.max(prefixLength - 32 * i, 0), 32);
    const mask = bits === 0 ? 0 : -1 << (32 - bits);
    view.setUint32(at + 16 + 4 * i, address[addressAt + i] & mask);
  }
  return at + 32;
}

/** Writes an MTU option at `at`; returns the offset behind it. */
export function writeNdpMtu(view: DataView, at: number, mtu: number): number {
  view.setUint32(at, (NdpOptionType.mtu << 24) | (1 << 16));
  view.setUint32(at + 4, mtu);
  return at + 8;
}

/**
 * Writes a recursive DNS server option at `at` (RFC 8106 section 5.1); returns the offset behind it.
 *
 * @param servers at least one IPv6 address, four words each.
 */
export function writeNdpDnsServers(
  view: DataView,
  at: number,
  lifetimeSeconds: number,
  servers: readonly Uint32Array[],
): number {
  view.setUint32(at, (NdpOptionType.recursiveDnsServers << 24) | ((1 + 2 * servers.length) << 16));
  view.setUint32(at + 4, lifetimeSeconds);
  for (let i = 0; i < servers.length; i++) writeIpv6Address(view, at + 8 + 16 * i, servers[i] as Uint32Array, 0);
  return at + 8 + 16 * servers.length;
}

/**
 * Writes a DNS search list option at `at` (RFC 8106 section 5.2), zero padded to 8 bytes; returns the offset behind it.
 *
 * @param names uncompressed names in wire format, at most 2032 bytes.
 */
export function writeNdpSearchList(view: DataView, at: number, lifetimeSeconds: number, names: Uint8Array): number {
  const optionBytes = (8 + names.length + 7) & ~7;
  view.setUint32(at, (NdpOptionType.dnsSearchList << 24) | ((optionBytes >>> 3) << 16));
  view.setUint32(at + 4, lifetimeSeconds);
  for (let i = 0; i < optionBytes - 8; i++) view.setUint8(at + 8 + i, i < names.length ? names[i] : 0);
  return at + optionBytes;
}

/** Whether the IPv6 address at `at` is a solicited-node multicast address, of whatever node. */
export function isSolicitedNode(view: DataView, at: number): boolean {
  for (let i = 0; i < 3; i++) if (view.getUint32(at + 4 * i) !== SOLICITED_NODE_PREFIX[i]) return false;
  return view.getUint8(at + 12) === 0xff;
}

/** Puts the solicited-node multicast address of the node with `address`, four words, into the four words of `out`. */
export function solicitedNodeOf(address: Uint32Array, out: Uint32Array): void {
  for (let i = 0; i < 3; i++) out[i] = SOLICITED_NODE_PREFIX[i];
  out[3] = SOLICITED_NODE_PREFIX[3] | (address[3] & 0xff_ffff);
}
