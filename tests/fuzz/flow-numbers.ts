// Where the guest's TCP connections are, so that frames of the corpus can be given numbers that matter.

const IP_AT = 14;
const FLAG = { fin: 1, syn: 2, ack: 16 } as const;

interface Place {
  readonly at: number;
  readonly payloadBytes: number;
}

/** Where a frame has its TCP header; null when it has none. Frames of the corpus have neither options nor extensions. */
function tcpIn(bytes: Uint8Array): Place | null {
  const isV4 = bytes[12] === 8 && bytes[13] === 0;
  const isV6 = bytes[12] === 0x86 && bytes[13] === 0xdd;
  if (!(isV4 && bytes[IP_AT + 9] === 6) && !(isV6 && bytes[IP_AT + 6] === 6)) return null;
  const at = IP_AT + (isV4 ? 20 : 40);
  if (bytes.length < at + 20) return null;
  const u16 = (from: number): number => bytes[from] * 256 + bytes[from + 1];
  const end = isV4 ? IP_AT + u16(IP_AT + 2) : at + u16(IP_AT + 4);
  return { at, payloadBytes: Math.max(0, end - at - 4 * (bytes[at + 12] >>> 4)) };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Sequence numbers of each family's connection: the corpus has one of each. */
export class FlowNumbers {
  readonly #next = new Map<number, number>();
  readonly #expected = new Map<number, number>();

  /** Puts the present numbers into a frame of the guest. */
  adjust(bytes: Uint8Array): void {
    const place = tcpIn(bytes);
    if (place === null || (bytes[place.at + 13] & FLAG.syn) !== 0) return;
    const view = viewOf(bytes);
    const next = this.#next.get(bytes[12]);
    const expected = this.#expected.get(bytes[12]);
    if (next !== undefined) view.setUint32(place.at + 4, next);
    if (expected !== undefined) view.setUint32(place.at + 8, expected);
  }

  /** The guest has sent this frame. */
  sent(bytes: Uint8Array): void {
    const place = tcpIn(bytes);
    if (place === null) return;
    this.#next.set(bytes[12], viewOf(bytes).getUint32(place.at + 4) + this.#lengthOf(bytes, place));
  }

  /** The guest has received this frame. */
  received(bytes: Uint8Array): void {
    const place = tcpIn(bytes);
    if (place === null) return;
    this.#expected.set(bytes[12], viewOf(bytes).getUint32(place.at + 4) + this.#lengthOf(bytes, place));
  }

  #lengthOf(bytes: Uint8Array, { at, payloadBytes }: Place): number {
    return payloadBytes + ((bytes[at + 13] & (FLAG.syn | FLAG.fin)) !== 0 ? 1 : 0);
  }
}
