// Rings and frames of a guest that makes mistakes, or means harm, over the sockets of a host: frames of the corpus with changes in
// them, descriptors and indexes that point anywhere, in every kind of ring. In one thread and with a clock of its own.

import { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import { GATEWAY4, LINK } from "@passt-ts/backend-sockets/testing/backend-rig";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { type Named, readFrames } from "./corpus.ts";
import { EchoHost } from "./echo-host.ts";
import { checkLog, Finding, type Fuzzer } from "./fuzzer.ts";
import { HeldWatch } from "./held.ts";
import { GUEST_BYTES, RING_BYTES } from "./memory-layout.ts";
import { Random } from "./random.ts";
import { RingRound } from "./ring-round.ts";
import { RingScribbler } from "./ring-scribbler.ts";

const MIB = 1024 * 1024;
const ROUNDS_MAX = 20_000;
const F = VirtioFeature;
const OPTIONAL = featureMask(F.RING_PACKED, F.IN_ORDER, F.EVENT_IDX, F.INDIRECT_DESC);
const GOOD = ~featureMask(F.VHOST_LOG_ALL);

/** Says that a frame is the gateway's answer to the corpus's ARP request. */
function isArpReply(bytes: Uint8Array): boolean {
  return bytes[13] === 6 && bytes[21] === 2 && bytes[31] === (GATEWAY4[3] & 0xff);
}

export class RingFuzzer implements Fuzzer {
  readonly #loop = new EventLoop();
  readonly #windows = new WindowTable(copyBytesNatively);
  readonly #backend: SocketBackend;
  readonly #device: VhostUserDevice;
  readonly #logged: string[] = [];
  readonly #good: TestFrontEnd;
  readonly #frames: readonly Named<Uint8Array>[] = readFrames();
  readonly #host = new EchoHost();
  readonly #memoryBefore = new Uint8Array(GUEST_BYTES);
  #random = new Random(0);
  #nowMs = 1000;
  readonly #held = new HeldWatch();

  #scribbler: RingScribbler | null = null;

  /** Returns when it is ready to fuzz. */
  static async create(): Promise<RingFuzzer> {
    const fuzzer = new RingFuzzer();
    fuzzer.#scribbler = await RingScribbler.start({ memoryBytes: GUEST_BYTES, ringBytes: RING_BYTES });
    return fuzzer;
  }

  private constructor() {
    const [loop, windows] = [this.#loop, this.#windows];
    this.#backend = new SocketBackend({
      loop,
      windows,
      link: LINK,
      forwards: [],
      random: () => this.#random.below(0x1_0000) / 0x1_0000,
      startSeconds: 0,
      clock: () => this.#nowMs,
      warn: (text) => this.#logged.push(text),
    });
    const log = (level: string, text: string) => void this.#logged.push(`${level}: ${text}`);
    this.#device = new VhostUserDevice({ loop, windows, backend: this.#backend, log, features: { offer: OPTIONAL } });
    this.#good = new TestFrontEnd({ memoryBytes: 2 * MIB, pump: this.#pump });
  }

  /** Delivers events and does all the work there is; the host answers what it gets. */
  readonly #pump = (): void => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#loop.wait(0);
      const more = this.#device.turn(this.#nowMs++);
      this.#host.answer();
      if (!more) return;
    }
    throw new Finding("the device never gets done");
  };

  readonly #adopt = (): OwnedFd => {
    const [ours, theirs] = createSocketPair();
    this.#device.adopt(ours);
    return theirs;
  };

  readonly #frame = (name: string): Uint8Array => {
    const frame = this.#frames.find((one) => one.name === name);
    if (frame === undefined) throw new Error(`no frame ${name} in the corpus`);
    return frame.value.slice();
  };

  round(seed: number, round: number): number {
    const random = new Random(seed, round);
    this.#random = random;
    this.#logged.length = 0;
    const acts = this.#play(random);
    checkLog(this.#logged);
    this.#host.closeStreams();
    this.#serveGood();
    this.#held.checkQuickly(this.#windows.count);
    return acts;
  }

  #play(random: Random): number {
    using round = new RingRound({
      random,
      frame: this.#frame,
      anyFrame: () => random.pick(this.#frames).value.slice(),
      adopt: this.#adopt,
      pump: this.#pump,
      passTime: (ms) => {
        this.#nowMs += ms;
      },
      memoryBefore: this.#memoryBefore,
      isArpReply,
    });
    const { guest, sane } = round;
    round.boot();
    if (!sane && random.chance(0.3)) this.#scribbler?.begin(guest.ram.file.fd, random.word());
    let acts = 0;
    try {
      acts = round.play();
    } finally {
      this.#scribbler?.stop();
    }
    this.#pump();
    round.checkServed(this.#logged);
    guest.settle();
    guest.disconnect();
    this.#pump();
    return acts;
  }

  /** @throws Finding when a guest that does everything right is not served. */
  #serveGood(): void {
    const good = this.#good.connect(this.#adopt()).boot({ features: GOOD });
    good.offerBuffers(4, [65_562]);
    good.send(this.#frame("arp-gateway"));
    good.until(() => good.receive().some(({ bytes }) => isArpReply(bytes)), "an ARP reply");
    good.disconnect();
    this.#pump();
  }

  checkHeld(): void {
    this.#held.check();
  }
}
