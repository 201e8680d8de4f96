// The guest's end of one TCP connection: enough of TCP for a link that loses nothing.

import { F, parseSegment, serializeSegment } from "@passt-ts/tcp-vu/testing/frames";
import type { ReceivedFrame } from "@passt-ts/vhost-user-device/testing/test-ring";
import { wordsOf } from "../conformance/address.ts";
import { gateway4, host4 } from "../conformance/host.ts";
import { unpadded } from "./frame-check.ts";
import { checkSegmentSize, SEGMENT_BYTES, type SentFrame, segmentedLater } from "./offload.ts";

/** MSS and window scale 7. */
const SYN_OPTIONS: readonly number[] = [2, 4, SEGMENT_BYTES >>> 8, SEGMENT_BYTES & 255, 1, 3, 3, 7];
/** Units of 128 bytes. */
const WINDOW = 512;

export interface StreamEnds {
  readonly guestPort: number;
  readonly peerPort: number;
  /** Default the gateway. */
  readonly peer?: string;
  /** Payload of a frame, at most; of more than a segment it is to be cut, and its checksum to be completed. Default a segment. */
  readonly frameBytes?: number;
}

export class GuestStream {
  /** Payload of the longest frames that came and went. */
  longestReceived = 0;
  longestSent = 0;
  /** What came, in order. */
  received: Uint8Array = new Uint8Array(0);
  /** The peer has ended its side. */
  ended = false;
  established = false;
  readonly #ends: StreamEnds;
  readonly #out: SentFrame[] = [];
  #sequence = 100_000;
  #acknowledged = 100_000;
  #expected = 0;
  #window = 0;
  #scale = 0;
  #unsent: Uint8Array = new Uint8Array(0);
  #endWanted = false;
  #endSent = false;

  constructor(ends: StreamEnds) {
    this.#ends = ends;
  }

  /** Frames to be sent now; they are given once. */
  takeFrames(): SentFrame[] {
    return this.#out.splice(0);
  }

  connect(): void {
    this.#segment(F.syn, new Uint8Array(0), SYN_OPTIONS);
    this.#sequence++;
  }

  /** Queues bytes; they leave as the peer's window allows. */
  write(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#unsent.length + bytes.length);
    all.set(this.#unsent);
    all.set(bytes, this.#unsent.length);
    this.#unsent = all;
    this.#sendMore();
  }

  end(): void {
    this.#endWanted = true;
    this.#sendMore();
  }

  /** All that was written, and the end, were acknowledged, and the peer has ended too. */
  get isClosed(): boolean {
    return this.#endSent && this.ended && this.#acknowledged === this.#sequence;
  }

  /** Takes a TCP frame; true when it is of this connection. @throws Error for a wrong checksum, a reset, a gap. */
  take(frame: ReceivedFrame): boolean {
    const segment = parseSegment({ ...frame, bytes: unpadded(frame).bytes } as Parameters<typeof parseSegment>[0]);
    const { guestPort, peerPort } = this.#ends;
    if (segment.destinationPort !== guestPort || segment.sourcePort !== peerPort) return false;
    const { flags, sequence, payload } = segment;
    checkSegmentSize(frame, payload.length);
    this.longestReceived = Math.max(this.longestReceived, payload.length);
    if ((flags & F.rst) !== 0) throw new Error(`a reset on ${guestPort}`);
    if ((flags & F.ack) !== 0) this.#acknowledged = segment.acknowledgment;
    this.#window = segment.window << ((flags & F.syn) !== 0 ? 0 : this.#scale);
    if ((flags & F.syn) !== 0) this.#takeSyn(segment.options, flags, sequence);
    else if (sequence === this.#expected) this.#takePayload(Uint8Array.from(payload), (flags & F.fin) !== 0);
    else if (payload.length > 0 || (flags & F.fin) !== 0) this.#segment(F.ack);
    this.established ||= (flags & F.ack) !== 0 && this.#expected !== 0;
    this.#sendMore();
    return true;
  }

  #takeSyn(options: readonly number[], flags: number, sequence: number): void {
    const at = options.findIndex((kind, i) => kind === 3 && options[i + 1] === 3);
    this.#scale = at < 0 ? 0 : options[at + 2];
    const isNew = this.#expected === 0;
    this.#expected = (sequence + 1) >>> 0;
    if ((flags & F.ack) !== 0) this.#segment(F.ack);
    else if (isNew) {
      this.#segment(F.syn | F.ack, new Uint8Array(0), SYN_OPTIONS);
      this.#sequence++;
    }
  }

  #takePayload(payload: Uint8Array, isEnd: boolean): void {
    if (payload.length === 0 && !isEnd) return;
    const all = new Uint8Array(this.received.length + payload.length);
    all.set(this.received);
    all.set(payload, this.received.length);
    this.received = all;
    this.#expected = (this.#expected + payload.length + (isEnd ? 1 : 0)) >>> 0;
    this.ended ||= isEnd;
    this.#segment(F.ack);
  }

  #sendMore(): void {
    if (!this.established) return;
    const { frameBytes = SEGMENT_BYTES } = this.#ends;
    while (this.#unsent.length > 0) {
      const room = this.#window - (this.#sequence - this.#acknowledged);
      const length = Math.min(room, frameBytes, this.#unsent.length);
      if (length <= 0) return;
      this.#segment(F.ack | F.psh, this.#unsent.subarray(0, length));
      this.#sequence += length;
      this.#unsent = this.#unsent.subarray(length);
    }
    if (!this.#endWanted || this.#endSent) return;
    this.#endSent = true;
    this.#segment(F.ack | F.fin);
    this.#sequence++;
  }

  #segment(flags: number, payload: Uint8Array = new Uint8Array(0), options: readonly number[] = []): void {
    const { guestPort, peerPort, peer = gateway4 } = this.#ends;
    const [source, destination] = [wordsOf(host4), wordsOf(peer)];
    const ports = { sourcePort: guestPort, destinationPort: peerPort };
    const numbers = { sequence: this.#sequence, acknowledgment: this.#expected, window: WINDOW };
    const frame = serializeSegment({ source, destination, ...ports, ...numbers, flags, payload, options });
    // The guest's own address, and a complete checksum: who leaves it open says so in the header.
    frame.set([0x52, 0x54, 0, 0, 0, 1], 6);
    this.longestSent = Math.max(this.longestSent, payload.length);
    if (this.#ends.frameBytes === undefined) this.#out.push({ bytes: withChecksum(frame) });
    else this.#out.push(segmentedLater(frame));
  }
}

function withChecksum(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer);
  view.setUint16(50, 0);
  let sum = 6 + frame.length - 34;
  for (let at = 26; at + 1 < frame.length; at += 2) sum += view.getUint16(at);
  if (frame.length % 2 === 1) sum += frame[frame.length - 1] * 256;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  view.setUint16(50, ~sum & 0xffff);
  return frame;
}
