import { Dhcpv6Ia, Dhcpv6IaAddress, Dhcpv6Option } from "@passt-ts/wire/dhcpv6";
import { hexOf, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import { ipv6Text } from "./address.ts";
import type { Fields } from "./fields.ts";

/** A DHCPv6 message from `at` to the end of `bytes`. */
export function dissectDhcpv6(fields: Fields, bytes: Uint8Array, at: number): void {
  fields.add("dhcpv6.type", String(bytes[at]));
  fields.add("dhcpv6.transaction", hexOf(bytes.subarray(at + 1, at + 4)));
  dissectOptions(fields, bytes, at + 4, bytes.length, "dhcpv6");
}

function dissectOptions(fields: Fields, bytes: Uint8Array, at: number, end: number, prefix: string): void {
  const view = viewOf(bytes);
  while (at + 4 <= end) {
    const code = view.getUint16(at);
    const dataAt = at + 4;
    at = dataAt + view.getUint16(at + 2);
    const name = `${prefix}.option.${code}`;
    if (code === Dhcpv6Option.iaNonTemporary) {
      fields.add(name, hexOf(bytes.subarray(dataAt, dataAt + Dhcpv6Ia.options)));
      dissectOptions(fields, bytes, dataAt + Dhcpv6Ia.options, at, name);
    } else if (code === Dhcpv6Option.iaAddress) {
      fields.add(name, `${ipv6Text(bytes, dataAt)} ${hexOf(bytes.subarray(dataAt + 16, dataAt + 24))}`);
      dissectOptions(fields, bytes, dataAt + Dhcpv6IaAddress.dataBytes, at, name);
    } else fields.add(name, hexOf(bytes.subarray(dataAt, at)));
  }
  if (at !== end) fields.add(`${prefix}.trailing`, hexOf(bytes.subarray(at, end)));
}
