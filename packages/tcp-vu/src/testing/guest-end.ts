import type { EngineRig } from "./engine-rig.ts";
import type { FakeSocket } from "./fake-tcp-sockets.ts";
import { F, type SeenSegment, type SegmentFields } from "./frames.ts";

/** The options of a Linux guest's SYN, as far as they matter: MSS and window scale. */
export function synOptions(mss: number, windowScale = -1): number[] {
  const options = [2, 4, mss >>> 8, mss & 255];
  return windowScale < 0 ? options : [...options, 1, 3, 3, windowScale];
}

/** A guest's end of one connection, moved by hand: it knows the numbers, and nothing happens by itself. */
export class GuestEnd {
  readonly rig: EngineRig;
  readonly socket: FakeSocket;
  /** Next sequence number of the guest, and next one it expects of us. */
  next: number;
  expected: number;
  /** Our initial sequence number. */
  readonly isn: number;
  window = 65535;
  readonly #base: Partial<SegmentFields>;

  constructor(rig: EngineRig, socket: FakeSocket, base: Partial<SegmentFields>, next: number, isn: number) {
    this.rig = rig;
    this.socket = socket;
    this.#base = base;
    this.next = next >>> 0;
    this.isn = isn;
    this.expected = (isn + 1) >>> 0;
  }

  /** A segment with the connection's addresses and numbers, changed by `fields`. */
  segment(fields: Partial<SegmentFields> = {}): Partial<SegmentFields> {
    const { next, expected, window } = this;
    return { ...this.#base, flags: F.ack, sequence: next, acknowledgment: expected, window, options: [], ...fields };
  }

  /** Acknowledges everything up to `bytes` behind what was acknowledged before. */
  acknowledge(bytes: number): void {
    this.expected = (this.expected + bytes) >>> 0;
    this.rig.input(this.segment());
  }

  /** Sends payload as one segment, in a batch of its own. */
  send(payload: ArrayLike<number>): void {
    this.rig.input(this.segment({ payload, flags: F.ack | F.psh }));
    this.next = (this.next + payload.length) >>> 0;
  }
}

/** Opens a connection from the guest and brings it to established. */
export function openOutbound(rig: EngineRig, fields: Partial<SegmentFields> = {}): GuestEnd {
  const base = { sequence: 1000, options: synOptions(1460), window: 65535, ...fields };
  rig.input({ ...base, flags: F.syn });
  rig.sockets.complete(rig.sockets.last);
  const [answer] = rig.settle();
  if (answer.flags !== (F.syn | F.ack)) throw new Error(`no SYN,ACK but flags ${answer.flags}`);
  const end = new GuestEnd(rig, rig.sockets.last, base, base.sequence + 1, answer.sequence);
  end.window = base.window;
  rig.input(end.segment());
  const extra: SeenSegment[] = rig.settle();
  if (extra.length > 0) throw new Error("established, and something was sent at once");
  return end;
}

/** `length` bytes that differ from their neighbours, beginning with `from`. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 31 + ((from + i) >>> 8)) & 255);
}
