import { DHCP_MESSAGE_BYTES_MIN, Dhcp, DhcpOption } from "@passt-ts/wire/dhcp";
import { hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { ipv4Text, macText } from "./address.ts";
import type { Fields } from "./fields.ts";

/** A DHCP message from `at` to the end of `bytes`. */
export function dissectDhcp(fields: Fields, bytes: Uint8Array, at: number): void {
  const hex = (from: number, to: number): string => hexOf(bytes.subarray(at + from, at + to));
  fields.add("dhcp.operation", hex(0, 1));
  fields.add("dhcp.hardware", hex(1, 3));
  fields.add("dhcp.hops", hex(3, 4));
  fields.add("dhcp.transaction", hex(4, 8));
  fields.add("dhcp.seconds", hex(8, 10));
  fields.add("dhcp.flags", hex(10, 12));
  fields.add("dhcp.clientAddress", ipv4Text(bytes, at + Dhcp.clientAddress));
  fields.add("dhcp.yourAddress", ipv4Text(bytes, at + Dhcp.yourAddress));
  fields.add("dhcp.serverAddress", ipv4Text(bytes, at + Dhcp.serverAddress));
  fields.add("dhcp.relayAddress", ipv4Text(bytes, at + Dhcp.relayAddress));
  fields.add("dhcp.clientHardware", macText(bytes, at + Dhcp.clientHardware));
  const names = bytes.subarray(at + Dhcp.clientHardware + 6, at + Dhcp.cookie);
  fields.add("dhcp.names", names.every((byte) => byte === 0) ? "zeros" : hexOf(names));
  fields.add("dhcp.cookie", hex(Dhcp.cookie, Dhcp.options));
  dissectOptions(fields, bytes, at + Dhcp.options);
  // How many zeros follow depends on the options before them; what counts is that the message is not too short.
  fields.add("dhcp.length", bytes.length - at >= DHCP_MESSAGE_BYTES_MIN ? "long enough" : "too short");
}

function dissectOptions(fields: Fields, bytes: Uint8Array, at: number): void {
  while (at < bytes.length && bytes[at] !== DhcpOption.end) {
    const end = bytes[at] === DhcpOption.pad ? at + 1 : at + 2 + bytes[at + 1];
    fields.add(`dhcp.option.${bytes[at]}`, hexOf(bytes.subarray(at + 2, end)));
    at = end;
  }
  fields.add("dhcp.end", at < bytes.length ? "present" : "missing");
  const rest = bytes.subarray(at + 1);
  if (!rest.every((byte) => byte === 0)) fields.add("dhcp.trailing", hexOf(rest));
}
