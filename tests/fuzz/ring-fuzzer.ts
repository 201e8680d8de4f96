// Rings and frames of a guest that makes mistakes, or means harm, over the sockets of a host: frames of the corpus with changes in
// them, descriptors and indexes that point anywhere, in every kind of ring. In one thread and with a clock of its own.

import { SocketBackend } from "@passt-ts/backend-sockets/socket-backend";
import { GATEWAY4, LINK } from "@passt-ts/backend-sockets/testing/backend-rig";
import {
  HostListener,
  type HostStream,
  HostUdp,
  LOOPBACK4,
  LOOPBACK6,
} from "@passt-ts/backend-sockets/testing/host-sockets";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { VhostUserDevice } from "@passt-ts/vhost-user-device/device";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import type { TestRing } from "@passt-ts/vhost-user-device/testing/test-ring";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { type Named, readFrames } from "./corpus.ts";
import { FlowNumbers } from "./flow-numbers.ts";
import { checkLog, Finding, type Fuzzer } from "./fuzzer.ts";
import { type Held, held, heldFds } from "./held.ts";
import { edgeNumber, mutated } from "./mutate.ts";
import { Random } from "./random.ts";
import { RingScribbler } from "./ring-scribbler.ts";

const MIB = 1024 * 1024;
const GUEST_BYTES = 4 * MIB;
const RING_BYTES = 64 * 1024;
const ECHO_PORT = 7001;
const ACTS_MAX = 60;
const ROUNDS_MAX = 20_000;
const F = VirtioFeature;
const OPTIONAL = featureMask(F.RING_PACKED, F.IN_ORDER, F.EVENT_IDX, F.INDIRECT_DESC);
const NEVER = featureMask(F.VHOST_LOG_ALL);

/** Guests that differ in what a connection cannot change. */
const GUESTS = [
  { queueSize: 256, indirectDescriptors: 16 },
  { queueSize: 16, indirectDescriptors: 4 },
  { queueSize: 1024, indirectDescriptors: 0, startIndex: 65_530 },
] as const;

export class RingFuzzer implements Fuzzer {
  readonly #loop = new EventLoop();
  readonly #windows = new WindowTable(copyBytesNatively);
  readonly #backend: SocketBackend;
  readonly #device: VhostUserDevice;
  readonly #logged: string[] = [];
  readonly #bad: readonly TestFrontEnd[];
  readonly #good: TestFrontEnd;
  readonly #frames: readonly Named<Uint8Array>[] = readFrames();
  readonly #arp: Uint8Array;
  readonly #udp: readonly HostUdp[] = [new HostUdp(LOOPBACK4, ECHO_PORT), new HostUdp(LOOPBACK6, ECHO_PORT)];
  readonly #listeners = [new HostListener(LOOPBACK4, ECHO_PORT), new HostListener(LOOPBACK6, ECHO_PORT)];
  #streams: HostStream[] = [];
  #numbers = new FlowNumbers();
  #random = new Random(0);
  #nowMs = 1000;
  #before: Held | null = null;
  #windowCount = -1;

  #scribbler: RingScribbler | null = null;

  /** Returns when it is ready to fuzz. */
  static async create(): Promise<RingFuzzer> {
    const fuzzer = new RingFuzzer();
    const fds = fuzzer.#bad.map(({ ram }) => ram.file.fd);
    fuzzer.#scribbler = await RingScribbler.start({ fds, memoryBytes: GUEST_BYTES, ringBytes: RING_BYTES });
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
    const pump = this.#pump;
    this.#bad = GUESTS.map((guest) => new TestFrontEnd({ ...guest, memoryBytes: GUEST_BYTES, pump }));
    this.#good = new TestFrontEnd({ memoryBytes: 2 * MIB, pump });
    this.#arp = this.#frames.find(({ name }) => name === "arp-gateway")?.value ?? new Uint8Array(0);
  }

  /** Delivers events and does all the work there is; the host answers what it gets. */
  readonly #pump = (): void => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#loop.wait(0);
      const more = this.#device.turn(this.#nowMs++);
      this.#hostAnswers();
      if (!more) return;
    }
    throw new Finding("the device never gets done");
  };

  #hostAnswers(): void {
    for (const udp of this.#udp) {
      const datagram = udp.receive();
      if (datagram !== null) udp.send(datagram.bytes, Uint32Array.from(datagram.address), datagram.port);
    }
    for (const listener of this.#listeners) {
      const stream = listener.accept();
      if (stream !== null) this.#streams.push(stream);
    }
    for (const stream of this.#streams) {
      const { length } = stream.read().received;
      if (length === 0 || stream.ending !== "") continue;
      stream.write(stream.received.splice(0));
    }
  }

  round(seed: number, round: number): number {
    const random = new Random(seed, round);
    this.#random = random;
    this.#logged.length = 0;
    this.#numbers = new FlowNumbers();
    const guest = random.pick(this.#bad);
    const [ours, theirs] = createSocketPair();
    this.#device.adopt(ours);
    guest.connect(theirs).boot({ features: this.#features(random) });
    // The driver of a sane ring takes its frames; that of a broken one would be as confused as the device.
    const sane = random.chance(0.5);
    if (random.chance(0.9)) this.#offer(guest, random);
    if (sane && random.chance(0.6)) this.#connect(guest, random);
    const acts = 1 + random.below(ACTS_MAX);
    if (!sane && random.chance(0.3)) this.#scribbler?.begin(this.#bad.indexOf(guest), random.word());
    try {
      for (let i = 0; i < acts; i++) this.#act(guest, random, sane);
      this.#pump();
    } finally {
      this.#scribbler?.stop();
    }
    this.#pump();
    guest.settle();
    guest.disconnect();
    this.#pump();
    checkLog(this.#logged);
    for (const stream of this.#streams.splice(0)) stream[Symbol.dispose]();
    this.#serveGood();
    this.#checkQuickly();
    return acts;
  }

  #features(random: Random): bigint {
    let features = ~NEVER;
    for (let bit = 0; bit < 64; bit++) {
      if (bit !== F.PROTOCOL_FEATURES && random.chance(0.25)) features &= ~(1n << BigInt(bit));
    }
    // The same ring cannot be half of one kind.
    return random.chance(0.8) ? features | (1n << BigInt(F.VERSION_1)) : features;
  }

  #offer(guest: TestFrontEnd, random: Random): void {
    const layout = random.pick([[1526], [12, 1514], [65_562], [200], [7], [1, 2, 3, 2000]]);
    try {
      for (let i = 1 + random.below(20); i > 0; i--) guest.rx.offer(layout);
    } catch {
      // The ring, or the memory, is full.
    }
    guest.rx.kick();
  }

  /** The corpus's connections, established as far as the ring lets it, so that changed segments meet one. */
  #connect(guest: TestFrontEnd, random: Random): void {
    const family = random.pick(["tcp4", "tcp6"]);
    for (const name of [`${family}-syn`, "tcp4-ack", `${family}-data`]) {
      const frame = this.#frames.find((one) => one.name === name)?.value.slice() ?? this.#arp;
      this.#numbers.adjust(frame);
      try {
        guest.tx.send(frame, []);
      } catch {
        return;
      }
      this.#numbers.sent(frame);
      guest.tx.kick();
      this.#takeFrames(guest);
      // The host's end of it is accepted, and answers, in the next round of the loop.
      this.#takeFrames(guest);
    }
  }

  #act(guest: TestFrontEnd, random: Random, sane: boolean): void {
    const kind = random.below(20);
    if (kind < 11) this.#sendFrame(guest, random, sane);
    else if (kind < 15) {
      if (!sane) this.#scribble(guest, random);
      else this.#takeFrames(guest);
    } else if (kind < 17) this.#control(guest, random, sane);
    else if (kind === 17) this.#nowMs += random.pick([10, 100, 1000, 5000, 70_000]);
    else this.#pump();
  }

  #sendFrame(guest: TestFrontEnd, random: Random, sane: boolean): void {
    const { value } = random.pick(this.#frames);
    const right = value.slice();
    if (random.chance(0.8)) this.#numbers.adjust(right);
    const frame = random.chance(0.75) ? mutated(right, random) : right;
    if (frame === right) this.#numbers.sent(right);
    const layout = Array.from({ length: random.few(12) }, () => random.pick([0, 1, 12, 14, 20, 10, 54, 100, 700]));
    let header: Uint8Array = new Uint8Array(guest.tx.ring === null ? 12 : headerLength(guest));
    if (random.chance(0.3)) header = mutated(header, random).slice(0, 12);
    try {
      if (sane) guest.tx.reapSent();
      guest.tx.send(
        frame,
        layout.filter((size) => size > 0),
        header,
      );
    } catch (error) {
      if (sane && !/full|used up/.test((error as Error).message)) throw error;
    }
    guest.tx.kickAnyway();
    guest.tx.kick();
  }

  #takeFrames(guest: TestFrontEnd): void {
    for (const { bytes } of guest.receive()) this.#numbers.received(bytes);
  }

  /** Changes what the device reads, anywhere in a ring. */
  #scribble(guest: TestFrontEnd, random: Random): void {
    const ring = random.chance(0.5) ? guest.rx : guest.tx;
    const { bytes } = guest.ram;
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + ring.index * RING_BYTES, RING_BYTES / 4);
    const act = random.below(4);
    if (act === 0) this.#writeChain(guest, ring, words, random);
    else if (act === 1) Atomics.store(ring.ring.available, 1, random.chance(0.5) ? random.below(300) : random.word());
    else {
      const ringWords = (ring.size * 26 + 32) >>> 2;
      for (let i = random.few(20); i > 0; i--) words[random.below(ringWords)] = this.#word(guest, random);
    }
    ring.kickAnyway();
  }

  #word(guest: TestFrontEnd, random: Random): number {
    if (random.chance(0.4)) return guest.ram.guestAddress(random.below(guest.ram.bytes.length)) >>> 0;
    return edgeNumber(random);
  }

  /** A chain that could be right, at the beginning of the ring: of both formats something is. */
  #writeChain(guest: TestFrontEnd, ring: TestRing, words: Uint32Array, random: Random): void {
    const length = 1 + random.below(5);
    const wrap = random.pick([0x80, 0x8000, 0x8080, 0]);
    for (let i = 0; i < length; i++) {
      const at = 4 * random.below(Math.min(ring.size, 8));
      const flags = random.pick([0, 1, 1, 2, 3, 4, 5, 7]) | (ring.format.name === "packed" ? wrap : 0);
      words[at] = guest.ram.guestAddress(random.below(guest.ram.bytes.length)) >>> 0;
      words[at + 1] = random.chance(0.9) ? 0 : edgeNumber(random);
      words[at + 2] = random.pick([12, 60, 100, 1526, 16, 32, 65_562, edgeNumber(random)]);
      words[at + 3] = ring.format.name === "packed" ? (flags << 16) | random.below(8) : (random.below(8) << 16) | flags;
    }
    if (ring.format.name === "packed") return;
    const { available } = ring.ring;
    const index = Atomics.load(available, 1);
    for (let i = 0; i < 4; i++)
      available[2 + ((index + i) & (ring.size - 1))] = random.below(random.chance(0.9) ? 8 : 65_536);
    Atomics.store(available, 1, (index + 1 + random.below(4)) & 0xffff);
  }

  #control(guest: TestFrontEnd, random: Random, sane: boolean): void {
    const ring = random.chance(0.5) ? guest.rx : guest.tx;
    const act = random.below(3);
    if (act === 0) guest.enableRing(ring, random.chance(0.6));
    else if (act === 1) {
      // Where it stopped, or anywhere; either may be refused, and the ring then stays stopped.
      const base = guest.stopRing(ring);
      try {
        guest.resumeRing(ring, sane || random.chance(0.7) ? base : edgeNumber(random));
      } catch (error) {
        if (!/was refused/.test((error as Error).message)) throw error;
      }
    } else if (random.chance(0.3)) guest.shareMemory();
  }

  /** @throws Finding when a guest that does everything right is not served. */
  #serveGood(): void {
    const [ours, theirs] = createSocketPair();
    this.#device.adopt(ours);
    const good = this.#good.connect(theirs).boot({ features: ~NEVER });
    good.offerBuffers(4, [65_562]);
    good.send(this.#arp);
    const isReply = ({ bytes }: { readonly bytes: Uint8Array }): boolean =>
      bytes[13] === 6 && bytes[21] === 2 && bytes[31] === (GATEWAY4[3] & 0xff);
    good.until(() => good.receive().some(isReply), "an ARP reply");
    good.disconnect();
    this.#pump();
  }

  #checkQuickly(): void {
    const { count } = this.#windows;
    if (this.#windowCount < 0) this.#windowCount = count;
    if (count !== this.#windowCount) throw new Finding(`${count} windows, ${this.#windowCount} before`);
    const fds = heldFds();
    if (this.#before !== null && fds !== this.#before.fds) throw new Finding(`${fds} fds, ${this.#before.fds} before`);
  }

  checkHeld(): void {
    const now = held();
    this.#before ??= now;
    if (now.maps !== this.#before.maps) throw new Finding(`${now.maps} maps, ${this.#before.maps} before`);
  }
}

function headerLength({ features }: TestFrontEnd): number {
  return (features & featureMask(F.VERSION_1, F.MRG_RXBUF)) === 0n ? 10 : 12;
}
