import { F, parseSegment, type SeenSegment, serializeSegment } from "@passt-ts/tcp-vu/testing/frames";
import { type BackendRig, GATEWAY4, GUEST4 } from "./backend-rig.ts";
import { isTcp } from "./guest-frames.ts";

/** MSS 1460 and window scale 7: the options of a guest's SYN, as far as they matter. */
const SYN_OPTIONS: readonly number[] = [2, 4, 1460 >>> 8, 1460 & 255, 1, 3, 3, 7];

export interface GuestStreamOptions {
  readonly source?: Uint32Array;
  readonly peer?: Uint32Array;
  readonly guestPort?: number;
  readonly peerPort: number;
}

/** The guest's end of one TCP connection: takes what comes in order, acknowledges it, and keeps what it saw. */
export class GuestStream {
  readonly received: number[] = [];
  /** Segments that came, oldest first. */
  readonly seen: SeenSegment[] = [];
  fins = 0;
  resets = 0;
  /** What it offers, in units of 128 bytes. */
  window = 512;
  next = 5000;
  expected = 0;
  /** The last byte of ours that was acknowledged, as the number behind it. */
  acknowledged = 0;
  /** The frame of its SYN. */
  synFrame: Uint8Array = new Uint8Array(0);
  readonly #rig: BackendRig;
  readonly #fields: { source: Uint32Array; destination: Uint32Array; sourcePort: number; destinationPort: number };

  constructor(rig: BackendRig, options: GuestStreamOptions) {
    this.#rig = rig;
    this.#fields = {
      source: options.source ?? GUEST4,
      destination: options.peer ?? GATEWAY4,
      sourcePort: options.guestPort ?? 40000,
      destinationPort: options.peerPort,
    };
  }

  /** Connects from the guest: returns once the connection is established. */
  static connect(rig: BackendRig, options: GuestStreamOptions): GuestStream {
    const stream = new GuestStream(rig, options);
    stream.sendSyn();
    rig.until(() => stream.poll().expected !== 0 || stream.resets > 0, "a SYN,ACK");
    if (stream.resets > 0) throw new Error("refused");
    return stream;
  }

  sendSyn(): void {
    const numbers = { sequence: this.next >>> 0, window: this.window, flags: F.syn };
    this.synFrame = serializeSegment({ ...this.#fields, ...numbers, options: SYN_OPTIONS });
    this.#rig.send([this.synFrame]);
    this.next++;
  }

  /** Sends one segment with the present numbers. */
  segment(
    flags: number,
    payload: ArrayLike<number> = [],
    options: readonly number[] = [],
    entryBytes: readonly number[] = [],
  ): void {
    const { next, expected, window } = this;
    const numbers = { sequence: next >>> 0, acknowledgment: expected >>> 0, window, flags };
    this.#rig.send([serializeSegment({ ...this.#fields, ...numbers, options, payload })], entryBytes);
  }

  /** Sends payload as one segment, whose frame lies in entries of the sizes given. */
  write(payload: ArrayLike<number>, entryBytes: readonly number[] = []): void {
    this.segment(F.ack | F.psh, payload, [], entryBytes);
    this.next = (this.next + payload.length) >>> 0;
  }

  end(): void {
    this.segment(F.ack | F.fin);
    this.next++;
  }

  reset(): void {
    this.segment(F.rst | F.ack);
  }

  /** Takes what has come for this connection, and acknowledges it. */
  poll(): this {
    const { sourcePort, destinationPort } = this.#fields;
    const segments = this.#rig.take((bytes) => isTcp(bytes) && this.#isOurs(bytes)).map((frame) => parseSegment(frame));
    let owed = false;
    for (const segment of segments) {
      if (segment.sourcePort !== destinationPort || segment.destinationPort !== sourcePort) throw new Error("mixed up");
      this.seen.push(segment);
      if (this.#accept(segment)) owed = true;
    }
    if (owed) this.segment(F.ack);
    return this;
  }

  /** Whether a frame belongs here; by ports, which tests keep apart. */
  #isOurs(bytes: Uint8Array): boolean {
    const at = bytes[12] === 0x86 ? 54 : 34;
    const ports = [bytes[at] * 256 + bytes[at + 1], bytes[at + 2] * 256 + bytes[at + 3]];
    return ports[0] === this.#fields.destinationPort && ports[1] === this.#fields.sourcePort;
  }

  /** True when it needs an acknowledgment. */
  #accept(segment: SeenSegment): boolean {
    const { flags, sequence, payload } = segment;
    if ((flags & F.ack) !== 0) this.acknowledged = segment.acknowledgment;
    if ((flags & F.rst) !== 0) {
      this.resets++;
      return false;
    }
    if ((flags & F.syn) !== 0) {
      const isNew = this.expected === 0;
      this.expected = (sequence + 1) >>> 0;
      if ((flags & F.ack) === 0 && isNew) {
        this.segment(F.syn | F.ack, [], SYN_OPTIONS);
        this.next++;
        return false;
      }
      return true;
    }
    if (sequence !== this.expected) return payload.length > 0;
    this.received.push(...payload);
    this.expected = (this.expected + payload.length) >>> 0;
    const isEnd = (flags & F.fin) !== 0;
    if (isEnd) {
      this.fins++;
      this.expected = (this.expected + 1) >>> 0;
    }
    return payload.length > 0 || isEnd;
  }
}
