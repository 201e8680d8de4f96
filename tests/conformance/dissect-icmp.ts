import { checksumBytes } from "@passt-ts/checksum/checksum";
import { IcmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { hexOf, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import { ipv6Text } from "./address.ts";
import type { Fields } from "./fields.ts";

type Quoted = (quote: Uint8Array) => void;

/** An ICMP message from `at` to the end of `bytes`; `quoted` takes the packet that an error quotes apart. */
export function dissectIcmp(fields: Fields, bytes: Uint8Array, at: number, prefix: string, quoted: Quoted): void {
  const type = dissectHeader(fields, bytes, at, `${prefix}icmp`, checksumBytes(viewOf(bytes), at, bytes.length));
  const isError = [IcmpType.destinationUnreachable, IcmpType.timeExceeded, IcmpType.parameterProblem].some(
    (error) => error === type,
  );
  fields.add(`${prefix}icmp.rest`, hexOf(bytes.subarray(at + 4, at + 8)));
  if (isError && prefix === "") quoted(bytes.subarray(at + 8));
  else fields.add(`${prefix}payload`, hexOf(bytes.subarray(at + 8)));
}

function dissectHeader(fields: Fields, bytes: Uint8Array, at: number, name: string, sum: number): number {
  fields.add(`${name}.type`, String(bytes[at]));
  fields.add(`${name}.code`, String(bytes[at + 1]));
  fields.addChecksum(`${name}.checksum`, viewOf(bytes).getUint16(at + 2), sum);
  return bytes[at];
}

/** The same for ICMPv6, neighbor discovery included. */
export function dissectIcmpv6(
  fields: Fields,
  bytes: Uint8Array,
  at: number,
  prefix: string,
  pseudo: number,
  quoted: Quoted,
): void {
  const name = `${prefix}icmpv6`;
  const sum = checksumBytes(viewOf(bytes), at, bytes.length, pseudo);
  const type = dissectHeader(fields, bytes, at, name, sum);
  if (type === Icmpv6Type.routerAdvertisement) {
    dissectRouterAdvertisement(fields, bytes, at);
    return;
  }
  fields.add(`${name}.rest`, hexOf(bytes.subarray(at + 4, at + 8)));
  if (type === Icmpv6Type.neighborSolicitation || type === Icmpv6Type.neighborAdvertisement) {
    fields.add("ndp.target", ipv6Text(bytes, at + 8));
    dissectOptions(fields, bytes, at + 24);
  } else if (type < 128 && prefix === "") quoted(bytes.subarray(at + 8));
  else fields.add(`${prefix}payload`, hexOf(bytes.subarray(at + 8)));
}

function dissectRouterAdvertisement(fields: Fields, bytes: Uint8Array, at: number): void {
  const view = viewOf(bytes);
  fields.add("ra.hopLimit", String(bytes[at + 4]));
  fields.add("ra.flags", hexOf(bytes.subarray(at + 5, at + 6)));
  fields.add("ra.lifetime", String(view.getUint16(at + 6)));
  fields.add("ra.reachableTime", String(view.getUint32(at + 8)));
  fields.add("ra.retransmitTimer", String(view.getUint32(at + 12)));
  dissectOptions(fields, bytes, at + 16);
}

function dissectOptions(fields: Fields, bytes: Uint8Array, at: number): void {
  while (at + 8 <= bytes.length && bytes[at + 1] > 0) {
    const end = at + bytes[at + 1] * 8;
    fields.add(`ndp.option.${bytes[at]}`, hexOf(bytes.subarray(at + 1, end)));
    at = end;
  }
  if (at < bytes.length) fields.add("ndp.trailing", hexOf(bytes.subarray(at)));
}
