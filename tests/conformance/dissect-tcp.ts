import { Tcp, TcpFlag } from "@passt-ts/wire/tcp";
import { hexOf, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import type { Fields } from "./fields.ts";
import type { Isns } from "./isns.ts";

/** The flags by name. */
export function flagsText(flags: number): string {
  return Object.entries(TcpFlag)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name.toUpperCase())
    .join(",");
}

/** A sequence number as it stands, or as counted from the initial one. */
export function sequenceText(sequence: number, isn: number | undefined): string {
  return isn === undefined ? sequence.toString(16) : `isn${signed((sequence - isn) | 0)}`;
}

const signed = (value: number): string => (value < 0 ? String(value) : `+${value}`);

/** `checksum` is that over the whole segment, null when not all of it is there. */
export function dissectTcp(
  fields: Fields,
  bytes: Uint8Array,
  at: number,
  checksum: number | null,
  isns: Isns,
  prefix: string,
): void {
  const view = viewOf(bytes);
  const name = `${prefix}tcp`;
  const ports = [view.getUint16(at), view.getUint16(at + 2)];
  fields.add(`${name}.sourcePort`, String(ports[0]));
  fields.add(`${name}.destinationPort`, String(ports[1]));
  fields.add(`${name}.sequence`, sequenceText(view.getUint32(at + 4), isns.findIsn(ports[0], ports[1])));
  if (bytes.length - at < Tcp.headerBytes) {
    fields.add(`${prefix}payload`, hexOf(bytes.subarray(at + 8)));
    return;
  }
  const flags = bytes[at + Tcp.flags];
  fields.add(`${name}.acknowledgment`, view.getUint32(at + 8).toString(16));
  fields.add(`${name}.flags`, flagsText(flags));
  fields.add(`${name}.reserved`, String(bytes[at + Tcp.dataOffset] & 15));
  fields.add(`${name}.window`, String(view.getUint16(at + Tcp.window)));
  fields.add(`${name}.checksum`, checksum === null ? "partly quoted" : checksum === 0 ? "right" : "wrong");
  fields.add(`${name}.urgentPointer`, String(view.getUint16(at + 18)));
  const dataAt = at + (bytes[at + Tcp.dataOffset] >>> 4) * 4;
  if (dataAt > at + Tcp.headerBytes) fields.add(`${name}.options`, hexOf(bytes.subarray(at + Tcp.headerBytes, dataAt)));
  if (dataAt < bytes.length) fields.add(`${prefix}payload`, hexOf(bytes.subarray(dataAt)));
}
