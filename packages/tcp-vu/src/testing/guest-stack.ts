import { F, type SeenSegment, type SegmentFields } from "./frames.ts";
import { synOptions } from "./guest-end.ts";

export interface GuestStackOptions {
  readonly addresses: Partial<SegmentFields>;
  /** The guest opens the connection; otherwise it waits for a SYN. */
  readonly isActive: boolean;
  readonly isn: number;
  readonly mss: number;
  /** -1: without the option. */
  readonly windowScale: number;
  readonly receiveBytes: number;
  /** What the guest sends, and what it must receive. */
  readonly outgoing: Uint8Array;
  readonly incoming: Uint8Array;
  /** It closes only when the host has closed. */
  readonly closesLast: boolean;
  /** 0 to 1. */
  readonly random: () => number;
}

const RTO_MS = 300;
const DUPLICATES = 3;
const FIN_OR_SYN = F.fin | F.syn;

/**
 * The TCP of a guest, complete enough for streams over a bad link: it resends, reassembles, probes and closes.
 *
 * Positions are counted from 0 without wrapping, the first byte of payload being 0; sequence numbers exist only in
 * segments. Whatever the engine may not do throws.
 */
export class GuestStack {
  readonly #options: GuestStackOptions;
  readonly #scale: number;
  /** 0: nothing seen of the host; 1: its SYN is known; 2: established. */
  #phase = 0;
  #hostIsn = 0;
  /** First position not acknowledged, next one to send, one behind the highest sent, end of the host's window. */
  #una = -1;
  #nxt = -1;
  #max = -1;
  #edge = 0;
  #hostScale = 0;
  #duplicates = 0;
  #resendAtMs = 0;
  readonly #early = new Set<number>();
  #rcvNxt = 0;
  #announced = 0;
  #readTo = 0;
  #finAt = -1;
  #acksDue = 0;
  /** A reset ended a connection that had nothing left to receive but the last acknowledgment. */
  #isReset = false;

  constructor(options: GuestStackOptions) {
    this.#options = options;
    this.#scale = Math.max(0, options.windowScale);
    this.#announced = Math.min(0xffff, options.receiveBytes);
  }

  get isEstablished(): boolean {
    return this.#phase === 2;
  }

  /** Everything was sent, received and closed, both ways. */
  get isDone(): boolean {
    return this.#isReset || (this.#hasHostFin && this.#una === this.#end + 1);
  }

  /** When something happens though no segment comes. */
  get deadlineMs(): number {
    const isIdle = this.#phase === 2 && this.#una === this.#max && this.#una >= this.#sendable;
    return this.isDone || isIdle || (this.#phase === 0 && !this.#options.isActive) ? Infinity : this.#resendAtMs;
  }

  get #end(): number {
    return this.#options.outgoing.length;
  }

  get #hasHostFin(): boolean {
    return this.#finAt !== -1 && this.#rcvNxt === this.#finAt + 1;
  }

  /** One behind what the application has given us to send, FIN included. */
  get #sendable(): number {
    return this.#end + (this.#options.closesLast && !this.#hasHostFin ? 0 : 1);
  }

  /** The application reads up to `bytes` bytes. */
  read(bytes: number): void {
    const before = this.#freeBytes;
    this.#readTo = Math.min(this.#rcvNxt, this.#readTo + bytes);
    if (before < this.#options.mss && this.#freeBytes > before && this.#phase === 2) this.#acksDue ||= 1;
  }

  receive(segment: SeenSegment, nowMs: number): void {
    if ((segment.flags & F.rst) !== 0) {
      this.#receiveReset();
      return;
    }
    if (this.#phase < 2) this.#receiveHandshake(segment, nowMs);
    if (this.#phase < 2) return;
    if ((segment.flags & F.syn) !== 0) {
      this.#acksDue ||= 1;
      return;
    }
    this.#receiveAcknowledgment(segment, nowMs);
    this.#receivePayload(segment);
  }

  /** What it sends now. */
  output(nowMs: number): Partial<SegmentFields>[] {
    const out: Partial<SegmentFields>[] = [];
    if (this.#phase < 2) {
      if ((this.#phase === 1 || this.#options.isActive) && nowMs >= this.#resendAtMs) {
        this.#resendAtMs = nowMs + 1000;
        this.#nxt = this.#max = 0;
        out.push(this.#syn());
      }
      return out;
    }
    if (nowMs >= this.#resendAtMs && this.#una < Math.max(this.#max, this.#sendable)) this.#timeout(nowMs, out);
    const limit = Math.min(this.#edge, this.#sendable);
    while (this.#nxt < limit) out.push(this.#next(limit));
    if (out.length > 0) this.#acksDue = Math.max(0, this.#acksDue - 1);
    for (; this.#acksDue > 0; this.#acksDue--) out.push(this.#segment(this.#max, F.ack, []));
    return out;
  }

  #receiveReset(): void {
    // The engine has no TIME-WAIT: what is resent because its last acknowledgment was lost meets a RST.
    if (!this.#hasHostFin || this.#max <= this.#end) throw new Error("the guest was reset");
    this.#isReset = true;
  }

  #receiveHandshake(segment: SeenSegment, nowMs: number): void {
    const { flags, sequence, acknowledgment, options } = segment;
    const acknowledgesOurs = (flags & F.ack) !== 0 && acknowledgment === this.#sequenceOf(0);
    if ((flags & F.syn) !== 0) {
      const at = options.indexOf(3, 4);
      this.#hostScale = this.#options.windowScale >= 0 && at !== -1 ? options[at + 2] : 0;
      if (this.#phase === 1 && sequence !== this.#hostIsn) throw new Error("another initial sequence number");
      this.#hostIsn = sequence;
      if (this.#phase === 0) this.#resendAtMs = nowMs;
      if (!this.#options.isActive) this.#phase = 1;
      else if (acknowledgesOurs) this.#establish(segment.window, nowMs);
      return;
    }
    if (this.#phase === 1 && acknowledgesOurs) this.#establish(segment.window << this.#hostScale, nowMs);
  }

  #establish(window: number, nowMs: number): void {
    this.#phase = 2;
    this.#una = this.#nxt = this.#max = 0;
    this.#edge = window;
    this.#acksDue = 1;
    this.#resendAtMs = nowMs + RTO_MS;
  }

  #receiveAcknowledgment(segment: SeenSegment, nowMs: number): void {
    const acknowledged = this.#una + ((segment.acknowledgment - this.#sequenceOf(this.#una)) | 0);
    if (acknowledged > this.#max) throw new Error("the engine acknowledges what was never sent");
    if (acknowledged < this.#una) return;
    const edge = acknowledged + (segment.window << this.#hostScale);
    if (acknowledged > this.#una) {
      this.#una = acknowledged;
      this.#nxt = Math.max(this.#nxt, acknowledged);
      this.#duplicates = 0;
      this.#resendAtMs = nowMs + RTO_MS;
    } else if (segment.payload.length === 0 && edge === this.#edge && this.#max > this.#una) {
      if (++this.#duplicates === DUPLICATES) this.#nxt = this.#una;
    }
    this.#edge = edge;
  }

  #receivePayload(segment: SeenSegment): void {
    const { payload, sequence, flags } = segment;
    const { incoming, mss } = this.#options;
    const from = this.#rcvNxt + ((sequence - ((this.#hostIsn + 1 + this.#rcvNxt) | 0)) | 0);
    if (payload.length > mss) throw new Error(`a segment of ${payload.length} bytes, where the MSS is ${mss}`);
    const probeBytes = payload.length <= 1 << this.#scale ? payload.length : 0;
    if (payload.length > 0 && from + payload.length > this.#announced + probeBytes) {
      throw new Error(`payload up to ${from + payload.length}, where the window ends at ${this.#announced}`);
    }
    const before = this.#rcvNxt;
    const end = this.#readTo + this.#options.receiveBytes;
    for (let i = 0; i < payload.length; i++) {
      if (payload[i] !== incoming[from + i]) throw new Error(`byte ${from + i} is wrong`);
      if (from + i >= this.#rcvNxt && from + i < end) this.#early.add(from + i);
    }
    if ((flags & F.fin) !== 0) this.#finAt = from + payload.length;
    while (this.#early.delete(this.#rcvNxt)) this.#rcvNxt++;
    if (this.#rcvNxt === this.#finAt) this.#rcvNxt++;
    if (this.#rcvNxt > before) this.#acksDue ||= 1;
    else if (payload.length > 0 || (flags & FIN_OR_SYN) !== 0 || from < this.#rcvNxt) this.#acksDue++;
  }

  #timeout(nowMs: number, out: Partial<SegmentFields>[]): void {
    this.#resendAtMs = nowMs + RTO_MS;
    this.#nxt = this.#una;
    this.#duplicates = 0;
    // A probe of the closed window.
    if (this.#edge <= this.#una) out.push(this.#next(this.#una + 1));
  }

  /** The next segment, which ends in front of `limit`. */
  #next(limit: number): Partial<SegmentFields> {
    const { outgoing, mss, random } = this.#options;
    const from = this.#nxt;
    const size = random() < 0.7 ? mss : 1 + Math.floor(random() * mss);
    const to = Math.min(from + size, limit, this.#end);
    const hasFin = to === this.#end && limit > this.#end && (from === to || random() < 0.5);
    this.#nxt = to + (hasFin ? 1 : 0);
    this.#max = Math.max(this.#max, this.#nxt);
    return this.#segment(from, F.ack | (hasFin ? F.fin : 0), outgoing.subarray(from, to));
  }

  #syn(): Partial<SegmentFields> {
    const { mss, windowScale } = this.#options;
    const flags = this.#phase === 1 ? F.syn | F.ack : F.syn;
    const syn = this.#segment(-1, flags, []);
    return { ...syn, window: Math.min(0xffff, this.#options.receiveBytes), options: synOptions(mss, windowScale) };
  }

  #segment(from: number, flags: number, payload: ArrayLike<number>): Partial<SegmentFields> {
    const window = Math.min(0xffff, this.#freeBytes >>> this.#scale);
    this.#announced = Math.max(this.#announced, this.#rcvNxt + (window << this.#scale));
    const acknowledgment = (flags & F.ack) === 0 ? 0 : (this.#hostIsn + 1 + this.#rcvNxt) >>> 0;
    return { ...this.#options.addresses, sequence: this.#sequenceOf(from), acknowledgment, flags, window, payload };
  }

  get #freeBytes(): number {
    return this.#options.receiveBytes - (this.#rcvNxt - this.#readTo);
  }

  #sequenceOf(position: number): number {
    return (this.#options.isn + 1 + position) >>> 0;
  }
}
