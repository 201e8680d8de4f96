// Addresses as text, which scripts and records use, and as the words of packages/wire.

/** The four words of a textual address; an IPv4 address is IPv4-mapped. @throws Error for anything else. */
export function wordsOf(text: string): Uint32Array {
  if (!text.includes(":")) {
    const bytes = text.split(".").map(Number);
    if (bytes.length !== 4 || bytes.some((byte) => !(byte >= 0 && byte < 256))) throw new Error(`no address: ${text}`);
    return Uint32Array.of(0, 0, 0xffff, ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0);
  }
  const [head, tail] = text.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const middle = tail === undefined ? [] : new Array<string>(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...middle, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
  if (groups.length !== 8 || groups.some(Number.isNaN)) throw new Error(`no address: ${text}`);
  return Uint32Array.from({ length: 4 }, (_, i) => ((groups[2 * i] << 16) | groups[2 * i + 1]) >>> 0);
}

/** The text of the IPv4 address at `at`. */
export function ipv4Text(bytes: Uint8Array, at: number): string {
  return bytes.subarray(at, at + 4).join(".");
}

/** The text of the IPv6 address at `at` (RFC 5952, but for the dotted form of mapped ones). */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[at + 2 * i] << 8) | bytes[at + 2 * i + 1]).toString(16));
  const zeros = groups.join(":").match(/\b0(?::0)+\b/g) ?? [];
  const longest = zeros.reduce((best, run) => (run.length > best.length ? run : best), "");
  const text = groups.join(":");
  return longest === "" ? text : text.replace(new RegExp(`:?\\b${longest}\\b:?`), "::");
}

/** The six bytes of a MAC address. */
export function macOf(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** The text of the MAC address at `at`. */
export function macText(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
