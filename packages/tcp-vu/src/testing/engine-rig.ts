import { ipv4Words } from "@passt-ts/address-map/address";
import { AddressMap } from "@passt-ts/address-map/address-map";
import { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { RecordingSink, type RecordingSinkOptions } from "@passt-ts/net-backend/testing/recording-sink";
import { Packet } from "@passt-ts/wire/packet";
import { TcpEngine, type TcpEngineOptions } from "../engine.ts";
import { SCRATCH_BYTES } from "../segment-builder.ts";
import { FakeTcpSockets } from "./fake-tcp-sockets.ts";
import { parseSegment, type SeenSegment, type SegmentFields, serializeSegment } from "./frames.ts";

/** Addresses of the rig, as the words that its segments name. */
export const GUEST4: Uint32Array = ipv4Words(0x0a000002);
export const GATEWAY4: Uint32Array = ipv4Words(0x0a000001);
export const REMOTE4: Uint32Array = ipv4Words(0x08080404);
export const GUEST6: Uint32Array = Uint32Array.of(0x20010db8, 0, 0, 2);
export const REMOTE6: Uint32Array = Uint32Array.of(0x20010db8, 0, 7, 9);
export const OUR_LINK_LOCAL: Uint32Array = Uint32Array.of(0xfe800000, 0, 0, 1);

export interface EngineRigOptions {
  readonly sink?: Omit<RecordingSinkOptions, "windows">;
  readonly engine?: Partial<TcpEngineOptions>;
  readonly peekOffset?: boolean;
  /** Sizes of the pieces that frames from the guest are cut into. Default: one piece. */
  readonly pieces?: readonly number[];
}

/** A TcpEngine between a recording sink and fake sockets, with a clock that the test moves. */
export class EngineRig {
  readonly windows: WindowTable = new WindowTable();
  readonly sink: RecordingSink;
  readonly sockets: FakeTcpSockets;
  readonly guest: GuestIdentity;
  readonly engine: TcpEngine;
  nowMs = 1000;
  /** Turns that {@link EngineRig.settle} needed last. */
  turns = 0;
  readonly #memory: Uint8Array = new Uint8Array(1 << 21);
  readonly #window: number;
  readonly #scratch: Uint8Array = new Uint8Array(SCRATCH_BYTES + 256);
  readonly #pool: IovPool;
  readonly #packet: Packet = new Packet();
  readonly #pieces: readonly number[];
  #memoryUsed = 0;

  constructor(options: EngineRigOptions = {}) {
    const { windows } = this;
    const scratchWindow = windows.add(this.#scratch);
    this.#window = windows.add(this.#memory);
    this.#pool = new IovPool(windows, 65536);
    this.#pieces = options.pieces ?? [1 << 20];
    this.sink = new RecordingSink({ ...options.sink, windows });
    this.sockets = new FakeTcpSockets({ windows, peekOffset: options.peekOffset ?? true });
    const ourMac = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);
    this.guest = new GuestIdentity({ ourMac, ipv4: GUEST4, ipv6Global: GUEST6 });
    const addressMap = new AddressMap({
      gateway4: GATEWAY4,
      gateway6: null,
      ourLinkLocal: OUR_LINK_LOCAL,
      hostLoopback4: GATEWAY4,
      hostLoopback6: OUR_LINK_LOCAL,
      guestHostAddress4: null,
      guestHostAddress6: null,
      mapGuestAddress4: null,
      mapGuestAddress6: null,
      guest: this.guest,
    });
    this.engine = new TcpEngine({
      sink: this.sink,
      sockets: this.sockets,
      addressMap,
      guest: this.guest,
      scratchWindow,
      scratchOffset: 64,
      secret: Uint32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      mtu: 65520,
      nowMs: this.nowMs,
      // So that the deadline shows the timers of what a test does; those of silence have tests of their own.
      keepaliveMs: Infinity,
      idleTimeoutMs: Infinity,
      ...options.engine,
    });
  }

  /** Gives one batch of segments to the engine; the frames are gone when it has ended. */
  input(...segments: Partial<SegmentFields>[]): void {
    this.inputFrames(...segments.map((segment) => serializeSegment(segment)));
  }

  /** The same with frames that are serialized already. */
  inputFrames(...frames: Uint8Array[]): void {
    this.#pool.count = 0;
    this.#memoryUsed = 0;
    for (const frame of frames) this.#inputFrame(frame);
    this.engine.endBatch(this.nowMs);
    // Whoever still looked at the payload now would read poison.
    this.#memory.fill(0xdd, 0, this.#memoryUsed);
  }

  /** Delivers socket events and runs turns until nothing more happens; the segments that came out. */
  settle(): SeenSegment[] {
    this.turns = 0;
    for (let events = this.sockets.takeEvents(); events.length > 0; events = this.sockets.takeEvents()) {
      for (const [flow, bits] of events) this.engine.socketReady(flow, bits, this.nowMs);
    }
    for (let busy = true; busy; ) {
      busy = this.engine.turn(this.nowMs);
      if (++this.turns > 10_000) throw new Error("the engine spins");
    }
    return this.take();
  }

  /** The segments that came out since the last call. */
  take(): SeenSegment[] {
    this.sink.assertSettled();
    return this.sink.take().map((frame) => parseSegment(frame));
  }

  /** Moves the clock, stopping at each deadline; everything that came out, each with its time in ms. */
  pass(ms: number): (SeenSegment & { atMs: number })[] {
    const seen: (SeenSegment & { atMs: number })[] = [];
    const end = this.nowMs + ms;
    while (this.engine.deadlineMs <= end) {
      this.nowMs = Math.max(this.nowMs, this.engine.deadlineMs);
      for (const segment of this.settle()) seen.push({ ...segment, atMs: this.nowMs });
    }
    this.nowMs = end;
    return seen;
  }

  #inputFrame(bytes: Uint8Array): void {
    const view = new DataView(this.#scratch.buffer);
    const headerAt = 64 + SCRATCH_BYTES;
    this.#scratch.fill(0xee, headerAt);
    this.#scratch.set(bytes.subarray(0, 128), headerAt);
    const first = this.#pool.count;
    // A virtio-net header of 12 bytes lies in front, as a driver lays it.
    const whole = new Uint8Array(12 + bytes.length);
    whole.set(bytes, 12);
    let done = 0;
    for (let i = 0; done < whole.length; i++) {
      const take = Math.min(this.#pieces[i % this.#pieces.length], whole.length - done);
      this.#memory.set(whole.subarray(done, done + take), this.#memoryUsed);
      this.#pool.append(this.#window, this.#memoryUsed, take);
      this.#memoryUsed += take + 3;
      done += take;
    }
    const gathered = Math.min(128, bytes.length);
    const reason = this.#packet.parse(view, headerAt, headerAt + gathered, bytes.length);
    if (reason !== 0) throw new Error(`the rig made a frame that is dropped: ${reason}`);
    const frame = new Iov(this.#pool, first, this.#pool.count - first);
    this.engine.input(this.#packet, view, frame, 12, this.nowMs);
  }
}
