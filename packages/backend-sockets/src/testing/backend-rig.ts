import { ipv4Words } from "@passt-ts/address-map/address";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import {
  type RecordedFrame,
  RecordingSink,
  type RecordingSinkOptions,
} from "@passt-ts/net-backend/testing/recording-sink";
import { ArpOperation } from "@passt-ts/wire/arp";
import { EtherType } from "@passt-ts/wire/ethernet";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import type { Engines } from "../engines.ts";
import type { LinkConfiguration } from "../link-configuration.ts";
import { SocketBackend } from "../socket-backend.ts";
import type { SocketBackendOptions } from "../socket-backend-options.ts";

/** Addresses of the guest's link. The gateways stand for the host's loopback. */
export const GUEST4: Uint32Array = ipv4Words(0x0a000002);
export const GATEWAY4: Uint32Array = ipv4Words(0x0a000001);
export const GUEST6: Uint32Array = Uint32Array.of(0x20010db8, 0, 0, 2);
export const GUEST_LINK_LOCAL: Uint32Array = Uint32Array.of(0xfe800000, 0, 0, 2);
export const GATEWAY6: Uint32Array = Uint32Array.of(0x20010db8, 0, 0, 1);
export const OUR_LINK_LOCAL: Uint32Array = Uint32Array.of(0xfe800000, 0, 0, 1);
export const OUR_MAC: Uint8Array = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);
export const GUEST_MAC: Uint8Array = Uint8Array.of(0x52, 0x54, 0, 0, 0, 9);

export const LINK: LinkConfiguration = {
  ourMac: OUR_MAC,
  ourLinkLocal: OUR_LINK_LOCAL,
  mtu: 1500,
  ipv4: {
    guestAddress: GUEST4,
    prefixLength: 24,
    gateway: GATEWAY4,
    loopback: GATEWAY4,
    nameServers: [ipv4Words(0x0a000035)],
  },
  ipv6: { guestAddress: GUEST6, prefixLength: 64, gateway: GATEWAY6, loopback: GATEWAY6, nameServers: [] },
  searchDomains: ["example.org"],
  scopeId: 0,
};

const MEMORY_BYTES = 1024 * 1024;
/** What tests wait for comes over loopback: more than this is a hang. */
const TIMEOUT_MS = 5000;
/** Bytes in front of each Ethernet frame: a virtio-net header's place. */
const HEADER_BYTES = 12;

export interface BackendRigOptions extends Partial<Omit<SocketBackendOptions, "loop" | "windows" | "link">> {
  readonly link?: Partial<LinkConfiguration>;
  readonly sink?: Omit<RecordingSinkOptions, "windows" | "memory">;
  /** Default true. */
  readonly attached?: boolean;
}

/**
 * A SocketBackend with real sockets in this process, between a guest that a test plays frame by frame and a recording
 * sink. Frames lie in memory that system calls reach.
 */
export class BackendRig implements Disposable {
  readonly windows: WindowTable = new WindowTable();
  readonly loop: EventLoop = new EventLoop();
  readonly sink: RecordingSink;
  readonly backend: SocketBackend;
  readonly warnings: string[] = [];
  /** Frames that ask the guest who it is: they come when the ring is ready, and are kept apart from what a test sent for. */
  readonly questions: Uint8Array[] = [];
  /** Turns that wanted another one at once, since the last {@link BackendRig.pump} began. */
  extraTurns = 0;
  readonly #sinkMemory: NativeBuffer = new NativeBuffer(MEMORY_BYTES);
  readonly #guestMemory: NativeBuffer = new NativeBuffer(MEMORY_BYTES);
  readonly #guestWindow: number;
  #passedMs = 0;
  #frames: RecordedFrame[] = [];
  #open = true;

  constructor(options: BackendRigOptions = {}) {
    const { link, sink, attached = true, ...rest } = options;
    const { windows, loop } = this;
    this.#guestWindow = windows.add(this.#guestMemory.bytes, this.#guestMemory.address);
    this.sink = new RecordingSink({ ...sink, windows, memory: this.#sinkMemory });
    this.backend = new SocketBackend({
      loop,
      windows,
      link: { ...LINK, ...link },
      forwards: [],
      random: () => 0.5,
      startSeconds: 1_750_000_000,
      clock: () => this.nowMs,
      warn: (text) => void this.warnings.push(text),
      ...rest,
    });
    if (attached) this.backend.attach(this.sink);
  }

  get engines(): Engines {
    const { engines } = this.backend;
    if (engines === null) throw new Error("not attached");
    return engines;
  }

  /** The time that the back-end is told: it runs by itself, and a test may let more pass. */
  get nowMs(): number {
    return performance.now() + this.#passedMs;
  }

  pass(ms: number): void {
    this.#passedMs += ms;
  }

  /** Sends frames of the guest as one batch, each over entries of the sizes given; afterwards its buffers hold poison. */
  send(frames: readonly Uint8Array[], entryBytes: readonly number[] = []): void {
    const { bytes } = this.#guestMemory;
    const batch = new FrameBatch(this.windows, frames.length, 65536);
    let at = 0;
    for (const [i, frame] of frames.entries()) {
      batch.firstEntry[i] = batch.pool.count;
      batch.offset[i] = HEADER_BYTES;
      batch.length[i] = frame.length;
      const whole = new Uint8Array(HEADER_BYTES + frame.length);
      whole.set(frame, HEADER_BYTES);
      for (let done = 0, part = 0; done < whole.length; part++) {
        const size = Math.min(entryBytes[part % entryBytes.length] ?? whole.length, whole.length - done);
        bytes.set(whole.subarray(done, done + size), at);
        batch.pool.append(this.#guestWindow, at, size);
        at += size + 3;
        done += size;
      }
      batch.entryCount[i] = batch.pool.count - batch.firstEntry[i];
      batch.count++;
    }
    this.sendBatch(batch);
    bytes.fill(0xdd, 0, at);
  }

  /** Sends a batch that somebody else laid out. */
  sendBatch(batch: FrameBatch): void {
    this.backend.send(batch, batch.count, this.nowMs);
  }

  /** One round of the loop: events, then turns until none wants another at once. */
  pump(waitMs = 0): void {
    this.loop.wait(waitMs);
    this.extraTurns = 0;
    while (this.backend.turn(this.nowMs)) if (++this.extraTurns > 1000) throw new Error("the back-end spins");
    this.sink.assertSettled();
    for (const frame of this.sink.take()) {
      if (isQuestion(frame.bytes)) this.questions.push(frame.bytes);
      else this.#frames.push(frame);
    }
  }

  /** Pumps until the condition holds. @throws Error that names `what` when it never does. */
  until(condition: () => boolean, what: string): void {
    const endMs = performance.now() + TIMEOUT_MS;
    for (let waitMs = 0; !condition(); waitMs = 1) {
      if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
      this.pump(waitMs);
    }
  }

  /** Pumps until a value comes. */
  waitFor<T>(next: () => T | null | undefined, what: string): T {
    let found: T | null | undefined;
    this.until(() => {
      found ??= next();
      return found !== null && found !== undefined;
    }, what);
    return found as T;
  }

  /** Takes the frames to the guest that `wanted` holds for, oldest first; the others stay. */
  take(wanted: (bytes: Uint8Array) => boolean = () => true): RecordedFrame[] {
    this.pump();
    const taken = this.#frames.filter((frame) => wanted(frame.bytes));
    this.#frames = this.#frames.filter((frame) => !wanted(frame.bytes));
    return taken;
  }

  /** Pumps until a frame for which `wanted` holds has come, and takes it. */
  frame(wanted: (bytes: Uint8Array) => boolean = () => true, what = "a frame to the guest"): Uint8Array {
    this.until(() => this.#frames.some((frame) => wanted(frame.bytes)), what);
    const index = this.#frames.findIndex((frame) => wanted(frame.bytes));
    return this.#frames.splice(index, 1)[0].bytes;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.backend.close();
    this.loop.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** An ARP request, or a neighbor solicitation. */
function isQuestion(frame: Uint8Array): boolean {
  const etherType = frame[12] * 256 + frame[13];
  if (etherType === EtherType.arp) return frame[21] === ArpOperation.request;
  return etherType === EtherType.ipv6 && frame[20] === 58 && frame[54] === Icmpv6Type.neighborSolicitation;
}
