import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { connectUnix } from "@passt-ts/linux/unix-socket";
import { featureBit, hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { type FeatureWishes, FrontEndSession } from "@passt-ts/vhost-user-proto/front-end-session";
import { ControlSocket, type Pump, pumpUntil, sleepPump } from "./control-socket.ts";
import { GuestRam, type RamRegion, type SparseFile } from "./guest-ram.ts";
import { type ReceivedFrame, TestRing } from "./test-ring.ts";

/** What a {@link TestFrontEnd} is made of; everything has a default. */
export interface TestFrontEndOptions {
  /** Default 16 MiB. */
  readonly memoryBytes?: number;
  /** Default: one region of all the memory. */
  readonly regions?: readonly RamRegion[];
  /** A file that is longer than the memory used; default: none is. */
  readonly sparseFile?: SparseFile;
  /** Descriptors of each ring. Default 256. */
  readonly queueSize?: number;
  /** Where the two rings begin in the memory; default 0 and 64 KiB. */
  readonly ringOffsets?: readonly [rx: number, tx: number];
  /** Where buffers begin. Default 128 KiB. */
  readonly buffersAt?: number;
  /** Where the ring indexes begin. Default 0. */
  readonly startIndex?: number;
  /** Descriptors of the table that each chain is put in when INDIRECT_DESC is negotiated. Default 0: it is not used. */
  readonly indirectDescriptors?: number;
  /** The call descriptors are pipes, as those of User-Mode Linux. Default false: eventfds. */
  readonly callPipes?: boolean;
  /** Send no kick descriptors: the back-end is to poll. Default false. */
  readonly noKickFds?: boolean;
  /** Send no call and error descriptors. Default false. */
  readonly noCallFds?: boolean;
  /** Lets the back-end run when it is in this thread; default sleeps, for one in another process. */
  readonly pump?: Pump;
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
  readonly #noCallFds: boolean;
  #control: ControlSocket | null = null;
  #session: FrontEndSession | null = null;

  constructor(options: TestFrontEndOptions = {}) {
    const { memoryBytes = 16 * 1024 * 1024, buffersAt = RESERVED_BYTES, regions, sparseFile } = options;
    this.ram = new GuestRam(memoryBytes, buffersAt, regions, sparseFile);
    this.#pump = options.pump ?? sleepPump;
    this.#noKickFds = options.noKickFds ?? false;
    this.#noCallFds = options.noCallFds ?? false;
    const [rx, tx] = options.ringOffsets ?? [0, RESERVED_BYTES / 2];
    const ring = (index: number, at: number) =>
      new TestRing(this.ram, {
        index,
        at,
        size: options.queueSize ?? 256,
        startIndex: options.startIndex ?? 0,
        callPipe: options.callPipes ?? false,
        indirectDescriptors: options.indirectDescriptors ?? 0,
      });
    this.rx = ring(0, rx);
    this.tx = ring(1, tx);
  }

  /** Connects to a socket path, or takes over a connected socket. @throws SystemError */
  connect(to: string | OwnedFd): this {
    this.#control = new ControlSocket(to instanceof OwnedFd ? to : connectUnix(to), this.#pump);
    this.#session = new FrontEndSession(this.#control);
    return this;
  }

  /** The socket. @throws Error before {@link TestFrontEnd.connect}. */
  get control(): ControlSocket {
    if (this.#control === null) throw new Error("not connected");
    return this.#control;
  }

  /** The front-end's side of the protocol. @throws Error before {@link TestFrontEnd.connect}. */
  get session(): FrontEndSession {
    if (this.#session === null) throw new Error("not connected");
    return this.#session;
  }

  get features(): bigint {
    return this.#session?.features ?? 0n;
  }

  get protocolFeatures(): bigint {
    return this.#session?.protocolFeatures ?? 0n;
  }

  /** Sends a request that has no reply of its own, and checks the acknowledgement when REPLY_ACK is negotiated. */
  request(build: (needReply: boolean) => Uint8Array, fds: readonly number[] = []): void {
    this.session.command(build, fds);
  }

  /**
   * Agrees on features, as far as `wanted` and what is offered have them in common. Without a wish those are left out
   * that need more than their bit: VHOST_LOG_ALL, which needs a log.
   */
  negotiate(wanted: FeatureWishes = {}): void {
    this.session.negotiate({ features: ~featureBit(VirtioFeature.VHOST_LOG_ALL), ...wanted });
  }

  /** Sends the memory table. */
  shareMemory(): void {
    const { table } = this.ram;
    this.session.setMemory(
      table,
      table.map(() => this.ram.file.fd),
    );
  }

  /** Sets one ring up and starts it: size, base, addresses, call, kick, enable. */
  startRing(ring: TestRing, base?: number): void {
    ring.negotiated(this.features);
    this.resumeRing(ring, base ?? ring.startBase);
  }

  /** The same for a ring whose driver goes on. */
  resumeRing(ring: TestRing, base: number): void {
    const { size, address } = ring;
    const callFd = this.#noCallFds ? -1 : ring.callFd;
    const errorFd = this.#noCallFds ? -1 : ring.errorFd;
    this.session.startRing({ size, base, address, callFd, errorFd, kickFd: this.#noKickFds ? -1 : ring.kickFd });
  }

  enableRing(ring: TestRing, enabled: boolean): void {
    this.session.enableRing(ring.index, enabled);
  }

  /** Stops a ring; returns the next available index. */
  stopRing(ring: TestRing): number {
    return this.session.stopRing(ring.index);
  }

  /** Negotiation, memory and both rings: after it frames flow. */
  boot(wanted: FeatureWishes = {}): this {
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
    this.session.settle();
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
    this.#session = null;
  }

  [Symbol.dispose](): void {
    this.disconnect();
    this.rx.close();
    this.tx.close();
    this.ram[Symbol.dispose]();
  }
}
