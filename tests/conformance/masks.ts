// What may differ between two runs of the same daemon, and so between the reference and ours: nothing else is left out when
// frames are compared. Initial sequence numbers are the other thing: sequence numbers are counted from them (dissect-tcp.ts).

export interface Mask {
  readonly name: string;
  /** The field that it covers. */
  readonly field: string;
  /** The frames that it covers, by their kind. */
  readonly kind: RegExp;
  /** What stands for a value: the same for two values that differ only in what is masked. */
  readonly replace: (value: string) => string;
}

export const masks: readonly Mask[] = [
  {
    name: "the time in the server's DUID (RFC 8415 section 11.2)",
    field: "dhcpv6.option.2",
    kind: /^DHCPv6/,
    replace: (value) => value.replace(/^(00010001).{8}/, "$1time...."),
  },
  {
    name: "the flow label of a TCP connection, which the daemon chooses (RFC 6437 section 3)",
    field: "ipv6.flowLabel",
    kind: /^TCP/,
    replace: () => "chosen",
  },
];

/** The value of a field with what is masked in it replaced. */
export function masked(kind: string, field: string, value: string): string {
  return masks
    .filter((mask) => mask.field === field && mask.kind.test(kind))
    .reduce((text, mask) => mask.replace(text), value);
}
