import { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import { GATEWAY4, GUEST4, LINK } from "@passt-ts/backend-sockets/testing/backend-rig";
import { HostListener, type HostStream } from "@passt-ts/backend-sockets/testing/host-sockets";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { F, parseSegment, type SeenSegment, serializeSegment } from "@passt-ts/tcp-vu/testing/frames";
import { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { DeviceCounter } from "@passt-ts/vhost-user-device/device-counter";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { NetCounter } from "@passt-ts/virtio-net/net-counter";

/** MSS 1460 and window scale 7. */
const SYN_OPTIONS: readonly number[] = [2, 4, 1460 >>> 8, 1460 & 255, 1, 3, 3, 7];
const GUEST_PORT = 40_000;
const ROUNDS_MAX = 10_000;

/**
 * A vhost-user device over real sockets, with a guest behind a real front-end that has one TCP connection to a server
 * on the host's loopback. All in one thread, with a clock of its own: where nothing happens, time jumps to the deadline.
 */
export class TestLink implements Disposable {
  readonly frontEnd: TestFrontEnd;
  readonly host: HostStream;
  /** What the guest's TCP got, in order. */
  readonly received: number[] = [];
  resets = 0;
  /** What the guest's TCP offers, in units of 128 bytes. */
  window = 512;
  /** Most calls of the receive ring in one turn, and all of them. */
  mostCalls = 0;
  calls = 0;
  readonly #loop: EventLoop = new EventLoop();
  readonly #windows: WindowTable = new WindowTable(copyBytesNatively);
  readonly #backend: SocketBackend;
  readonly #device: VhostUserDevice;
  readonly #listener: HostListener = new HostListener();
  #nowMs = 1000;
  #sequence = 5000;
  #expected = 0;

  /** @param buffers receive buffers of the guest, each for one segment. */
  constructor(buffers: number) {
    const loop = this.#loop;
    const windows = this.#windows;
    const clock = () => this.#nowMs;
    const options = { forwards: [], random: () => 0.5, startSeconds: 0, clock, warn: () => {} };
    this.#backend = new SocketBackend({ loop, windows, link: LINK, ...options });
    this.#device = new VhostUserDevice({ loop, windows, backend: this.#backend, log: () => {} });
    const [ours, theirs] = createSocketPair();
    this.#device.adopt(ours);
    this.frontEnd = new TestFrontEnd({ pump: this.pump }).connect(theirs);
    const { VERSION_1, MRG_RXBUF, PROTOCOL_FEATURES } = VirtioFeature;
    this.frontEnd.boot({ features: featureMask(VERSION_1, MRG_RXBUF, PROTOCOL_FEATURES) });
    this.frontEnd.offerBuffers(buffers);
    this.segment(F.syn, [], SYN_OPTIONS);
    this.#sequence++;
    this.until(() => this.#expected !== 0, "SYN,ACK");
    let host: HostStream | null = null;
    this.until(() => {
      host ??= this.#listener.accept();
      return host !== null;
    }, "the connection");
    this.host = host as unknown as HostStream;
  }

  /** Payload bytes that left for the guest, those sent again included. */
  get bytesOut(): number {
    return this.#backend.engines?.tcp.counters[TcpCounter.bytesOut] ?? 0;
  }

  /** Kicks of both rings. */
  get kicks(): number {
    return this.#device.counters[DeviceCounter.kicks];
  }

  /** Frames that the device has put into receive buffers. */
  get framesOut(): number {
    return this.#device.netCounters[NetCounter.rxFrames];
  }

  /** Delivers events and does all the work there is now. */
  readonly pump = (): void => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#loop.wait(0);
      if (!this.#turn()) return;
    }
    throw new Error("the device never gets done");
  };

  /** Lets time pass, with a guest that does nothing at all. Returns the rounds of the loop that this took. */
  pass(spanMs: number): number {
    const endMs = this.#nowMs + spanMs;
    for (let rounds = 1; rounds < ROUNDS_MAX; rounds++) {
      const events = this.#loop.wait(0);
      const more = this.#turn();
      if (more || events > 0) continue;
      if (this.#device.deadlineMs >= endMs) {
        this.#nowMs = endMs;
        return rounds;
      }
      this.#nowMs = Math.max(this.#nowMs, this.#device.deadlineMs);
    }
    return ROUNDS_MAX;
  }

  /** Lets both sides run until the condition holds; the guest takes and acknowledges what comes. */
  until(condition: () => boolean, what: string): void {
    this.frontEnd.until(() => {
      this.receive();
      return condition();
    }, what);
  }

  /** Sends a segment of the guest with the present numbers; `ahead`: so many bytes after those it has sent. */
  segment(flags: number, payload: ArrayLike<number> = [], options: readonly number[] = [], ahead = 0): void {
    const frame = serializeSegment({
      source: GUEST4,
      destination: GATEWAY4,
      sourcePort: GUEST_PORT,
      destinationPort: this.#listener.port,
      sequence: this.#sequence + ahead,
      acknowledgment: this.#expected,
      window: this.window,
      flags,
      options,
      payload,
    });
    this.frontEnd.send(frame);
  }

  /** Asks for the gateway's MAC address. */
  askForGateway(): void {
    const frame = new Uint8Array(42);
    frame.fill(0xff, 0, 6);
    frame.set([0x52, 0x54, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0, 0, 9, 10, 0, 0, 2], 6);
    frame.set([10, 0, 0, 1], 38);
    this.frontEnd.send(frame);
  }

  /** Takes what has come, and gives its buffers back. */
  receive(acknowledges = true): void {
    let owed = false;
    for (const frame of this.frontEnd.receive()) {
      if (frame.bytes[12] !== 8 || frame.bytes[13] !== 0) continue;
      // Padding is none of the packet's.
      const bytes = frame.bytes.subarray(0, 14 + frame.bytes[16] * 256 + frame.bytes[17]);
      if (this.#accept(parseSegment({ ...frame, bytes }))) owed = true;
    }
    if (owed && acknowledges) this.segment(F.ack);
  }

  #turn(): boolean {
    const more = this.#device.turn(this.#nowMs);
    const calls = this.frontEnd.rx.takeCalls();
    this.calls += calls;
    this.mostCalls = Math.max(this.mostCalls, calls);
    return more;
  }

  /** True when it needs an acknowledgment. */
  #accept({ flags, sequence, payload }: SeenSegment): boolean {
    if ((flags & F.rst) !== 0) this.resets++;
    if ((flags & F.syn) !== 0) this.#expected = sequence + 1;
    const known = (this.#expected - sequence) | 0;
    if ((flags & F.syn) === 0 && known >= 0 && known < payload.length) {
      for (let i = known; i < payload.length; i++) this.received.push(payload[i]);
      this.#expected = sequence + payload.length;
    }
    return payload.length > 0 || (flags & F.syn) !== 0;
  }

  [Symbol.dispose](): void {
    this.frontEnd[Symbol.dispose]();
    this.host[Symbol.dispose]();
    this.#listener[Symbol.dispose]();
    this.#device.close();
    this.#backend.close();
    this.#loop.close();
  }
}
