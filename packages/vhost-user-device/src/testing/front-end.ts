import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { connectUnix } from "@passt-ts/linux/unix-socket";
import { hasFeature, ProtocolFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import {
  memoryTableRequest,
  plainRequest,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import { decodeU64, decodeVringState } from "@passt-ts/vhost-user-proto/payload";
import { ControlSocket, type Pump, pumpUntil, sleepPump } from "./control-socket.ts";
import { GuestRam, type RamRegion } from "./guest-ram.ts";
import { type ReceivedFrame, TestRing } from "./test-ring.ts";

/** What a {@link TestFrontEnd} is made of; everything has a default. */
export interface TestFrontEndOptions {
  /** Default 16 MiB. */
  readonly memoryBytes?: number;
  /** Default: one region of all the memory. */
  readonly regions?: readonly RamRegion[];
  /** Descriptors of each ring. Default 256. */
  readonly queueSize?: number;
  /** Where the two rings begin in the memory file; default 0 and 64 KiB. Buffers come behind 128 KiB. */
  readonly ringOffsets?: readonly [rx: number, tx: number];
  /** Where the ring indexes begin. Default 0. */
  readonly startIndex?: number;
  /** The call descriptors are pipes, as those of User-Mode Linux. Default false: eventfds. */
  readonly callPipes?: boolean;
  /** Send no kick descriptors: the back-end is to poll. Default false. */
  readonly noKickFds?: boolean;
  /** Lets the back-end run when it is in this thread; default sleeps, for one in another process. */
  readonly pump?: Pump;
}

/** What to ask for; a feature that is not offered is never acknowledged. */
export interface NegotiateOptions {
  /** Virtio features wanted; default all. */
  readonly features?: bigint;
  /** Protocol features wanted; default all. */
  readonly protocolFeatures?: bigint;
}

/** The bytes kept for rings at the beginning of the memory. */
const RESERVED_BYTES = 128 * 1024;

/**
 * A front-end and the driver of its guest, for tests of back-ends in this process or another one: real socket, memory
 * file and event descriptors, and a virtqueue driver that lays buffers out as it is told.
 */
export class TestFrontEnd implements Disposable {
  readonly ram: GuestRam;
  readonly rx: TestRing;
  readonly tx: TestRing;
  readonly #pump: Pump;
  readonly #noKickFds: boolean;
  #control: ControlSocket | null = null;
  features = 0n;
  protocolFeatures = 0n;

  constructor(options: TestFrontEndOptions = {}) {
    this.ram = new GuestRam(options.memoryBytes ?? 16 * 1024 * 1024, RESERVED_BYTES, options.regions);
    this.#pump = options.pump ?? sleepPump;
    this.#noKickFds = options.noKickFds ?? false;
    const [rx, tx] = options.ringOffsets ?? [0, RESERVED_BYTES / 2];
    const ring = (index: number, at: number) =>
      new TestRing(this.ram, {
        index,
        at,
        size: options.queueSize ?? 256,
        startIndex: options.startIndex ?? 0,
        callPipe: options.callPipes ?? false,
      });
    this.rx = ring(0, rx);
    this.tx = ring(1, tx);
  }

  /** Connects to a socket path, or takes over a connected socket. @throws SystemError */
  connect(to: string | OwnedFd): this {
    this.#control = new ControlSocket(to instanceof OwnedFd ? to : connectUnix(to), this.#pump);
    return this;
  }

  /** The socket. @throws Error before {@link TestFrontEnd.connect}. */
  get control(): ControlSocket {
    if (this.#control === null) throw new Error("not connected");
    return this.#control;
  }

  get #acknowledges(): boolean {
    return hasFeature(this.protocolFeatures, ProtocolFeature.REPLY_ACK);
  }

  /** Sends a request that has no reply of its own, and checks the acknowledgement when REPLY_ACK is negotiated. */
  request(build: (needReply: boolean) => Uint8Array, fds: readonly number[] = []): void {
    if (!this.#acknowledges) {
      this.control.send(build(false), fds);
      return;
    }
    const answer = this.control.acknowledged(build(true), fds);
    if (answer !== 0n) throw new Error(`refused with ${answer}`);
  }

  /** Agrees on features, as far as `wanted` and what is offered have them in common. */
  negotiate(wanted: NegotiateOptions = {}): void {
    const offered = decodeU64(this.control.ask(plainRequest("GET_FEATURES")));
    const features = offered & (wanted.features ?? ~0n);
    if (hasFeature(offered, VirtioFeature.PROTOCOL_FEATURES)) {
      const protocol = decodeU64(this.control.ask(plainRequest("GET_PROTOCOL_FEATURES")));
      this.protocolFeatures = protocol & (wanted.protocolFeatures ?? ~0n);
      this.request((need) => u64Request("SET_PROTOCOL_FEATURES", this.protocolFeatures, need));
    }
    this.request((need) => plainRequest("SET_OWNER", need));
    this.features = features;
    this.request((need) => u64Request("SET_FEATURES", features, need));
  }

  /** Sends the memory table. */
  shareMemory(): void {
    const { table } = this.ram;
    this.request(
      (need) => memoryTableRequest(table, need),
      table.map(() => this.ram.file.fd),
    );
  }

  /** Sets one ring up and starts it: size, base, addresses, call, kick, enable. */
  startRing(ring: TestRing, base: number = ring.startIndex): void {
    const { index } = ring;
    ring.negotiated(this.features);
    this.request((need) => vringStateRequest("SET_VRING_NUM", { index, value: ring.size }, need));
    this.request((need) => vringStateRequest("SET_VRING_BASE", { index, value: base }, need));
    this.request((need) => vringAddressRequest(ring.address, need));
    this.request((need) => vringFdRequest("SET_VRING_CALL", { index, hasFd: true }, need), [ring.callFd]);
    this.request((need) => vringFdRequest("SET_VRING_ERR", { index, hasFd: true }, need), [ring.errorFd]);
    const hasFd = !this.#noKickFds;
    this.request((need) => vringFdRequest("SET_VRING_KICK", { index, hasFd }, need), hasFd ? [ring.kickFd] : []);
    if (hasFeature(this.features, VirtioFeature.PROTOCOL_FEATURES)) this.enableRing(ring, true);
  }

  enableRing(ring: TestRing, enabled: boolean): void {
    const state = { index: ring.index, value: enabled ? 1 : 0 };
    this.request((need) => vringStateRequest("SET_VRING_ENABLE", state, need));
  }

  /** Stops a ring; returns the next available index. */
  stopRing(ring: TestRing): number {
    const payload = this.control.ask(vringStateRequest("GET_VRING_BASE", { index: ring.index, value: 0 }));
    return decodeVringState(payload).value;
  }

  /** Negotiation, memory and both rings: after it frames flow. */
  boot(wanted: NegotiateOptions = {}): this {
    this.negotiate(wanted);
    this.shareMemory();
    this.startRing(this.rx);
    this.startRing(this.tx);
    this.settle();
    this.rx.takeCalls();
    this.tx.takeCalls();
    return this;
  }

  /** Waits until the back-end has carried out everything sent so far: it answers in order. */
  settle(): void {
    this.control.ask(plainRequest("GET_FEATURES"));
  }

  /**
   * Sends one frame behind a virtio-net header (all zeros unless given). `layout` are the lengths of the buffers, the
   * header's bytes included; it is cut where the frame ends, and what it does not cover goes into one more. The driver's memory is freed by
   * {@link TestRing.reapSent}.
   */
  send(frame: Uint8Array, layout: readonly number[] = [], header?: Uint8Array): void {
    this.tx.reapSent();
    this.tx.send(frame, layout, header);
    this.tx.kick();
  }

  /** Gives the device `count` receive buffers of the given layout; each is given again once its frame was taken. */
  offerBuffers(count: number, layout: readonly number[] = [12 + 1514]): void {
    for (let i = 0; i < count; i++) this.rx.offer(layout);
    this.rx.kick();
  }

  /** Takes the frames that have arrived, after one pump. */
  receive(): ReceivedFrame[] {
    this.#pump();
    const frames = this.rx.takeFrames(hasFeature(this.features, VirtioFeature.MRG_RXBUF));
    this.rx.kick();
    return frames;
  }

  /** Waits until `count` frames have arrived, and takes them. */
  receiveMany(count: number): ReceivedFrame[] {
    const frames: ReceivedFrame[] = [];
    this.until(() => {
      frames.push(...this.receive());
      return frames.length >= count;
    }, `${count} frames`);
    return frames;
  }

  /** Waits until the device has used everything that was sent. */
  sent(): void {
    this.until(() => {
      this.tx.reapSent();
      return this.tx.outstanding === 0;
    }, "used transmit buffers");
  }

  /** Pumps until the condition holds. */
  until(condition: () => boolean, what: string): void {
    pumpUntil(this.#pump, condition, what);
  }

  disconnect(): void {
    this.#control?.close();
    this.#control = null;
  }

  [Symbol.dispose](): void {
    this.disconnect();
    this.rx.close();
    this.tx.close();
    this.ram[Symbol.dispose]();
  }
}
