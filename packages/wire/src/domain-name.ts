/**
 * Domain names in the wire format of DNS (RFC 1035 section 3.1), as DHCP, DHCPv6 and NDP options carry them. Control
 * plane: the names come from the configuration.
 */

const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 255;

/** Compression pointers reach the first 16 KiB (RFC 1035 section 4.1.4). */
const POINTER_MAX = 0x3fff;

/** A name that cannot be put into the wire format. */
export class DomainNameError extends Error {
  readonly code = "BAD_DOMAIN_NAME";
}

/**
 * `name` in wire format, root label included; a final dot makes no difference.
 *
 * @throws DomainNameError when a label is empty or longer than 63 bytes, has a character outside printable ASCII, or
 * the whole is longer than 255 bytes.
 */
export function encodeDomainName(name: string): Uint8Array {
  return encodeSearchList([name], false);
}

/**
 * The names one after the other in wire format.
 *
 * @param compress whether a name may point at the tail of an earlier one: DHCPv4's option 119 does (RFC 3397 section
 * 2), DHCPv6 and NDP do not (RFC 8415 section 10, RFC 8106 section 5.2).
 * @throws DomainNameError as {@link encodeDomainName}.
 */
export function encodeSearchList(names: readonly string[], compress: boolean): Uint8Array {
  const bytes: number[] = [];
  const tails = new Map<string, number>();
  for (const name of names) encodeInto(bytes, labelsOf(name), compress ? tails : null);
  return Uint8Array.from(bytes);
}

function encodeInto(bytes: number[], labels: readonly string[], tails: Map<string, number> | null): void {
  for (let i = 0; i < labels.length; i++) {
    const tail = labels.slice(i).join(".").toLowerCase();
    const pointer = tails?.get(tail);
    if (pointer !== undefined) {
      bytes.push(0xc0 | (pointer >>> 8), pointer & 0xff);
      return;
    }
    if (bytes.length <= POINTER_MAX) tails?.set(tail, bytes.length);
    const label = labels[i] as string;
    bytes.push(label.length);
    for (let at = 0; at < label.length; at++) bytes.push(label.charCodeAt(at));
  }
  bytes.push(0);
}

function labelsOf(name: string): string[] {
  const labels = (name.endsWith(".") ? name.slice(0, -1) : name).split(".");
  let nameBytes = 1;
  for (const label of labels) {
    if (label.length === 0) throw new DomainNameError(`empty label in domain name "${name}"`);
    if (label.length > LABEL_BYTES_MAX) throw new DomainNameError(`label longer than 63 bytes in "${name}"`);
    if (!/^[\x21-\x7e]+$/.test(label)) throw new DomainNameError(`character outside printable ASCII in "${name}"`);
    nameBytes += 1 + label.length;
  }
  if (nameBytes > NAME_BYTES_MAX) throw new DomainNameError(`domain name longer than 255 bytes: "${name}"`);
  return labels;
}
