// The guest's end of the link: rings of one kind, filled as one case says, driven by notifications alone as an operating system's
// driver does it. Whoever waits lets other tasks run.

import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { sleepPump } from "@passt-ts/vhost-user-device/testing/control-socket";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import type { ReceivedFrame } from "@passt-ts/vhost-user-device/testing/test-ring";
import { ProtocolFeature } from "@passt-ts/vhost-user-proto/features";
import type { Case } from "./cases.ts";
import { featuresOf } from "./kinds.ts";
import { sizesOf } from "./layouts.ts";
import { checkHeader, type SentFrame, takenBy } from "./offload.ts";

const TIMEOUT_MS = 8000;
const PAGE_BYTES = 4096;
const NO_OFFLOAD: Uint8Array = new Uint8Array(12);
/** Given up by the daemon served through an inherited descriptor, and needed by none of the cases. */
const WITHOUT_CHANNEL = ~(1n << BigInt(ProtocolFeature.BACKEND_REQ));

/** Bytes for a split ring, the longer one, in whole pages. */
function ringBytes(queueSize: number): number {
  return Math.ceil((queueSize * 26 + 64) / PAGE_BYTES) * PAGE_BYTES;
}

/** Sees each frame that comes, once. */
export type Receiver = (frame: ReceivedFrame) => void;

export class GuestLink implements Disposable {
  readonly frontEnd: TestFrontEnd;
  one: Case;
  framesReceived = 0;
  calls = 0;
  #receiver: Receiver = () => {};
  #used = true;
  #booted = false;

  /** Connects and starts the rings. @param noKickFds the daemon is to poll. */
  constructor(one: Case, to: string | OwnedFd, noKickFds = false) {
    const { kind, send, receive, memory } = one;
    const sizes = sizesOf(kind, send, receive);
    const bytes = ringBytes(sizes.queueSize);
    const regions = memory.regions(sizes.memoryBytes);
    this.one = one;
    this.frontEnd = new TestFrontEnd({
      ...sizes,
      ...(regions === undefined ? {} : { regions }),
      ringOffsets: [0, bytes],
      buffersAt: 2 * bytes,
      noKickFds,
      pump: () => {
        if (!this.#booted) sleepPump();
      },
    });
    this.frontEnd.connect(to);
    this.#boot();
  }

  /** Bytes of the virtio-net header. */
  get headerLength(): 10 | 12 {
    const { legacy, mergeable } = this.one.kind;
    return legacy && !mergeable ? 10 : 12;
  }

  #boot(): void {
    const { frontEnd } = this;
    const features = featuresOf(this.one.kind, this.one.offloads);
    frontEnd.negotiate({ features, protocolFeatures: WITHOUT_CHANNEL });
    if (frontEnd.features !== features) {
      throw new Error(`0x${features.toString(16)} was asked for, 0x${frontEnd.features.toString(16)} agreed on`);
    }
    frontEnd.shareMemory();
    this.#startRings();
  }

  #startRings(): void {
    const { frontEnd } = this;
    const { receive } = this.one;
    frontEnd.startRing(frontEnd.rx);
    frontEnd.offerBuffers(receive.buffers, receive.pieces(this.headerLength));
    frontEnd.startRing(frontEnd.tx);
    frontEnd.settle();
    this.#used = true;
    this.#booted = true;
  }

  /** The next driver of the same guest, with the sizes of the first one. */
  restart(one: Case): void {
    const { frontEnd } = this;
    this.#booted = false;
    for (const ring of [frontEnd.rx, frontEnd.tx]) {
      frontEnd.enableRing(ring, false);
      frontEnd.stopRing(ring);
    }
    this.one = one;
    frontEnd.session.setFeatures(featuresOf(one.kind, one.offloads));
    this.#startRings();
  }

  /** Who gets the frames from now on; those that nobody waits for are lost. */
  deliverTo(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  /** Sends a frame, as soon as the ring has room. */
  async send({ bytes, header = NO_OFFLOAD }: SentFrame): Promise<void> {
    const { tx } = this.frontEnd;
    const pieces = this.one.send.pieces(this.headerLength + bytes.length, this.headerLength);
    const needed = this.one.kind.indirect ? 1 : pieces.length + 1;
    await this.until(() => {
      tx.reapSent();
      return tx.queue.freeCount >= needed;
    }, `room for ${needed} descriptors`);
    tx.send(bytes, pieces, header.subarray(0, this.headerLength));
    tx.kick();
  }

  /** Takes what the daemon has called for. */
  poll(): void {
    const { rx } = this.frontEnd;
    const calls = rx.takeCalls();
    this.calls += calls;
    if (calls === 0 && !this.#used) return;
    const frames = rx.takeFrames(this.one.kind.mergeable);
    rx.kick();
    // From now on a call comes for each; what was used before this was said is fetched without one.
    this.#used = rx.queue.allowNotifications();
    this.framesReceived += frames.length;
    for (const frame of frames) {
      checkHeader(frame, takenBy(this.one));
      this.#receiver(frame);
    }
  }

  /** Waits until the condition holds. @throws Error that names `what`, and says what the rings hold. */
  async until(condition: () => boolean, what: string): Promise<void> {
    const endMs = performance.now() + TIMEOUT_MS;
    for (let round = 0; !condition(); round++) {
      this.poll();
      if (condition()) return;
      if (performance.now() > endMs) throw new Error(`waited in vain for ${what}; ${this.#state()}`);
      // What goes on in the daemon takes some microseconds, mostly: to sleep at once would take a millisecond.
      if (round < 20) await new Promise((resolve) => setImmediate(resolve));
      else await Bun.sleep(1);
    }
  }

  #state(): string {
    const { rx, tx } = this.frontEnd;
    const broken = `broken ${rx.queue.brokenReason} and ${tx.queue.brokenReason}, errors ${rx.takeErrors()} and ${tx.takeErrors()}`;
    return `${this.framesReceived} frames and ${this.calls} calls came, ${tx.outstanding} frames wait to be sent, ${broken}`;
  }

  /** All that was sent has been used, and neither ring is broken. */
  async finish(): Promise<void> {
    const { rx, tx } = this.frontEnd;
    await this.until(() => {
      tx.reapSent();
      return tx.outstanding === 0;
    }, "the end of all frames sent");
    const faults = [rx.queue.brokenReason, tx.queue.brokenReason, rx.takeErrors(), tx.takeErrors()];
    if (faults.some((fault) => fault !== 0)) throw new Error(`faults ${faults.join(" ")}`);
  }

  [Symbol.dispose](): void {
    this.frontEnd[Symbol.dispose]();
  }
}
