/**
 * DHCPv6 messages and options (RFC 8415). The guest writes the requests; options are walked with bounds, at most one
 * step for each 4 bytes.
 */
import { writeIpv6Address } from "./ip-address.ts";

/** Offsets in a client or server message, and where the options begin (RFC 8415 section 8). */
export const Dhcpv6 = { type: 0, transaction: 1, options: 4 } as const;

/** Offsets in an option, and its header's size (RFC 8415 section 21.1). */
export const Dhcpv6OptionHeader = { code: 0, length: 2, headerBytes: 4 } as const;

/** Offsets in the data of IA_NA and IA_PD, and where the options in it begin; those of IA_TA begin at 4. */
export const Dhcpv6Ia = { identifier: 0, renewSeconds: 4, rebindSeconds: 8, options: 12, temporaryOptions: 4 } as const;

/** Offsets in the data of an IA address option (RFC 8415 section 21.6), and its size without options in it. */
export const Dhcpv6IaAddress = { address: 0, preferredSeconds: 16, validSeconds: 20, dataBytes: 24 } as const;

export const Dhcpv6Port = { client: 546, server: 547 } as const;

export const Dhcpv6MessageType = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  reconfigure: 10,
  informationRequest: 11,
} as const;

/** Option codes (RFC 8415 section 21, RFC 3646, RFC 4704). */
export const Dhcpv6Option = {
  clientIdentifier: 1,
  serverIdentifier: 2,
  iaNonTemporary: 3,
  iaTemporary: 4,
  iaAddress: 5,
  optionRequest: 6,
  statusCode: 13,
  rapidCommit: 14,
  dnsServers: 23,
  domainSearch: 24,
  iaPrefixDelegation: 25,
  informationRefreshTime: 32,
  clientFqdn: 39,
} as const;

/** Values of {@link Dhcpv6Option.statusCode} (RFC 8415 section 21.13). */
export const Dhcpv6Status = {
  success: 0,
  unspecified: 1,
  noAddressesAvailable: 2,
  noBinding: 3,
  notOnLink: 4,
  useMulticast: 5,
  noPrefixAvailable: 6,
} as const;

/** The least of {@link Dhcpv6Option.informationRefreshTime} that clients go by (RFC 8415 section 7.6). */
export const DHCPV6_REFRESH_SECONDS_MIN = 600;

/** The longest DUID: a type and 128 bytes (RFC 8415 section 11.1). */
export const DUID_BYTES_MAX = 130;

/** The bytes of data of the option at `at`. */
export function dhcpv6OptionLength(view: DataView, at: number): number {
  return view.getUint16(at + Dhcpv6OptionHeader.length);
}

/** Whether the options from `at` fill the bytes up to `end` exactly. After true the walks below are safe. */
export function checkDhcpv6Options(view: DataView, at: number, end: number): boolean {
  while (end - at >= Dhcpv6OptionHeader.headerBytes) {
    at += Dhcpv6OptionHeader.headerBytes + dhcpv6OptionLength(view, at);
    if (at > end) return false;
  }
  return at === end;
}

/** The offset of the first option `code` among those from `at` to `end`, which were checked; or -1. */
export function findDhcpv6Option(view: DataView, at: number, end: number, code: number): number {
  while (at < end) {
    if (view.getUint16(at) === code) return at;
    at = nextDhcpv6Option(view, at);
  }
  return -1;
}

/** The offset behind the option at `at`. */
export function nextDhcpv6Option(view: DataView, at: number): number {
  return at + Dhcpv6OptionHeader.headerBytes + dhcpv6OptionLength(view, at);
}

/** Writes the header of an option at `at`; returns where its data goes. */
export function writeDhcpv6OptionHeader(view: DataView, at: number, code: number, dataBytes: number): number {
  view.setUint16(at, code);
  view.setUint16(at + Dhcpv6OptionHeader.length, dataBytes);
  return at + Dhcpv6OptionHeader.headerBytes;
}

/** Writes an option with `data` at `at`; returns the offset behind it. */
export function writeDhcpv6Option(view: DataView, at: number, code: number, data: Uint8Array): number {
  at = writeDhcpv6OptionHeader(view, at, code, data.length);
  for (let i = 0; i < data.length; i++) view.setUint8(at + i, data[i]);
  return at + data.length;
}

/** Writes an IA address option at `at` without options in it; returns the offset behind it. */
export function writeDhcpv6IaAddress(
  view: DataView,
  at: number,
  address: Uint32Array,
  addressAt: number,
  preferredSeconds: number,
  validSeconds: number,
): number {
  at = writeDhcpv6OptionHeader(view, at, Dhcpv6Option.iaAddress, Dhcpv6IaAddress.dataBytes);
  writeIpv6Address(view, at + Dhcpv6IaAddress.address, address, addressAt);
  view.setUint32(at + Dhcpv6IaAddress.preferredSeconds, preferredSeconds);
  view.setUint32(at + Dhcpv6IaAddress.validSeconds, validSeconds);
  return at + Dhcpv6IaAddress.dataBytes;
}

/** Writes a status code option at `at`; returns the offset behind it. */
export function writeDhcpv6Status(view: DataView, at: number, status: number, text: Uint8Array): number {
  at = writeDhcpv6OptionHeader(view, at, Dhcpv6Option.statusCode, 2 + text.length);
  view.setUint16(at, status);
  for (let i = 0; i < text.length; i++) view.setUint8(at + 2 + i, text[i]);
  return at + 2 + text.length;
}
