// One round of the ring fuzzer: a guest, drawn at random, and what it does.

import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import type { TestRing } from "@passt-ts/vhost-user-device/testing/test-ring";
import { featureBit, featureMask, hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { DirtyPages } from "./dirty-pages.ts";
import { drawFeatures, drawKind, drawReceiveLayout, drawSendLayout } from "./drawn-guest.ts";
import { FlowNumbers } from "./flow-numbers.ts";
import { Finding } from "./fuzzer.ts";
import { InflightFile } from "./inflight-file.ts";
import { drawRegions, GUEST_BYTES, RING_BYTES } from "./memory-layout.ts";
import { edgeNumber, mutated } from "./mutate.ts";
import { offloaded } from "./offload-header.ts";
import type { Random } from "./random.ts";
import { scribbleRing } from "./ring-changes.ts";
import type { RoundContext } from "./round-context.ts";

const F = VirtioFeature;
const LOG_ALL = featureBit(F.VHOST_LOG_ALL);
const LOG_RING = 1;
const ACTS_MAX = 60;

export class RingRound implements Disposable {
  readonly guest: TestFrontEnd;
  /** The driver of a sane ring takes its frames; that of a broken one would be as confused as the device. */
  readonly sane: boolean;
  readonly #context: RoundContext;
  readonly #random: Random;
  readonly #features: bigint;
  readonly #numbers = new FlowNumbers();
  readonly #resources = new DisposableStack();
  readonly #dirty: DirtyPages | null;
  #inflight: InflightFile | null = null;
  /** The device's part of each ring is logged where it lies. */
  readonly #ringsLogged: boolean;
  /** The driver has seen all there was, and asked to be called for more. */
  #waitsForCall = false;
  /** What receive buffers the driver has given. */
  #offered: readonly number[] = [];

  constructor(context: RoundContext) {
    const { random, pump } = context;
    this.#context = context;
    this.#random = random;
    this.sane = random.chance(0.5);
    const kind = drawKind(random);
    const regions = drawRegions(random, kind.queueSize, this.sane || random.chance(0.7));
    const places = { memoryBytes: GUEST_BYTES, regions, buffersAt: 2 * RING_BYTES };
    this.guest = this.#resources.use(new TestFrontEnd({ ...kind, ...places, pump }));
    this.#features = drawFeatures(random);
    const isLogged = hasFeature(this.#features, F.VHOST_LOG_ALL);
    this.#dirty = isLogged || random.chance(0.1) ? this.#resources.use(new DirtyPages(this.guest.ram)) : null;
    this.#ringsLogged = this.#dirty !== null && random.chance(0.6);
    if (this.#ringsLogged) for (const ring of [this.guest.rx, this.guest.tx]) this.#logRing(ring);
  }

  #logRing(ring: TestRing): void {
    const used = ring.ring.used.byteOffset - this.guest.ram.bytes.byteOffset;
    const wrong = !this.sane && this.#random.chance(0.15);
    const logAddress = wrong ? edgeNumber(this.#random) * 4096 : this.guest.ram.guestAddress(used);
    ring.address = { ...ring.address, flags: LOG_RING, logAddress: BigInt(logAddress) };
  }

  /** Connects and starts the rings, as far as the device takes them. */
  boot(): void {
    const { guest } = this;
    guest.connect(this.#context.adopt());
    guest.negotiate({ features: this.#features });
    guest.shareMemory();
    if (this.#dirty !== null && (this.sane || this.#random.chance(0.9))) this.#setLog(this.#dirty);
    if (this.#random.chance(0.35)) {
      this.#inflight = this.#resources.use(InflightFile.of(guest));
      if (!this.sane && this.#random.chance(0.2)) this.#inflight.scribble(this.#random);
      this.#setInflight();
    }
    for (const ring of [guest.rx, guest.tx]) this.#orRefused(() => guest.startRing(ring));
    guest.settle();
  }

  #setLog({ area, file }: DirtyPages): void {
    this.#orRefused(() => this.guest.session.setLog(area, file.fd));
  }

  #setInflight(): void {
    const inflight = this.#inflight;
    if (inflight !== null) this.#orRefused(() => this.guest.session.setInflight(inflight.area, inflight.file.fd));
  }

  /** What a sane guest asks for must be granted; what another one does may be refused. */
  #orRefused(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (this.sane || !/was refused/.test((error as Error).message)) throw error;
    }
  }

  /** Gives receive buffers, connects, does this and that. Returns how much. */
  play(): number {
    const random = this.#random;
    if (random.chance(0.9)) this.#offer();
    if (this.sane && random.chance(0.6)) this.#connectStream();
    const acts = 1 + random.below(ACTS_MAX);
    for (let i = 0; i < acts; i++) this.#act();
    this.#pump();
    return acts;
  }

  #offer(): void {
    const random = this.#random;
    const { rx } = this.guest;
    this.#offered = drawReceiveLayout(random);
    try {
      for (let i = 1 + random.below(20); i > 0; i--) rx.offer(this.#offered);
    } catch {
      // The ring, or the memory, is full.
    }
    rx.kick();
  }

  /** Pumps; with a log of the rings' or the buffers' changes, now and then with a look whether it tells of all of them. */
  #pump(): void {
    const { pump, memoryBefore } = this.#context;
    const dirty = this.#dirty;
    if (dirty === null || !this.sane || !this.#isLogging || !this.#random.chance(0.5)) {
      pump();
      return;
    }
    const page = dirty.unmarkedPage(this.#ringsLogged ? 0 : 2 * RING_BYTES, memoryBefore, pump);
    if (page >= 0) throw new Finding(`memory changed at ${page}, which the dirty log does not tell of`);
  }

  get #isLogging(): boolean {
    return hasFeature(this.guest.features, F.VHOST_LOG_ALL);
  }

  /** The corpus's connections, established as far as the ring lets it, so that changed segments meet one. */
  #connectStream(): void {
    const { guest } = this;
    const family = this.#random.pick(["tcp4", "tcp6"]);
    for (const name of [`${family}-syn`, "tcp4-ack", `${family}-data`]) {
      const frame = this.#context.frame(name);
      this.#numbers.adjust(frame);
      try {
        guest.tx.send(frame, []);
      } catch {
        return;
      }
      this.#numbers.sent(frame);
      guest.tx.kick();
      this.#takeFrames();
      // The host's end of it is accepted, and answers, in the next round of the loop.
      this.#takeFrames();
    }
  }

  #act(): void {
    const random = this.#random;
    const kind = random.below(20);
    if (kind < 11) this.#sendFrame();
    else if (kind < 15) {
      if (this.sane) this.#takeFrames();
      else scribbleRing(this.guest, random);
    } else if (kind < 17) this.#control();
    else if (kind === 17) this.#context.passTime(random.pick([10, 100, 1000, 5000, 70_000]));
    else this.#pump();
  }

  #sendFrame(): void {
    const random = this.#random;
    const right = this.#context.anyFrame();
    if (random.chance(0.8)) this.#numbers.adjust(right);
    let frame = random.chance(0.75) ? mutated(right, random) : right;
    if (frame === right) this.#numbers.sent(right);
    const layout = drawSendLayout(random);
    let header: Uint8Array = new Uint8Array(this.#headerBytes);
    if (random.chance(hasFeature(this.guest.features, F.CSUM) ? 0.5 : 0.05))
      ({ frame, header } = offloaded(random.chance(0.7) ? right : frame, header.length, random));
    if (random.chance(0.2)) header = mutated(header, random).slice(0, 12);
    const { tx } = this.guest;
    try {
      if (this.sane) tx.reapSent();
      tx.send(frame, layout, header);
    } catch (error) {
      if (this.sane && !/full|used up/.test((error as Error).message)) throw error;
    }
    tx.kickAnyway();
    tx.kick();
  }

  get #headerBytes(): number {
    return (this.guest.features & featureMask(F.VERSION_1, F.MRG_RXBUF)) === 0n ? 10 : 12;
  }

  /** @throws Finding when frames came without a call to a driver that waits for it. */
  #takeFrames(): void {
    const { rx } = this.guest;
    this.#pump();
    const frames = this.guest.receive();
    for (const { bytes } of frames) this.#numbers.received(bytes);
    if (rx.takeCalls() === 0 && this.#waitsForCall && frames.length > 0)
      throw new Finding(`${frames.length} frames came without a call`);
    this.#waitsForCall = !rx.queue.allowNotifications();
  }

  #control(): void {
    const random = this.#random;
    const { guest } = this;
    const ring = random.chance(0.5) ? guest.rx : guest.tx;
    const act = random.below(6);
    if (act === 0) guest.enableRing(ring, random.chance(0.6));
    else if (act === 1) {
      // Where it stopped, or anywhere; either may be refused, and the ring then stays stopped.
      const base = guest.stopRing(ring);
      this.#orRefused(() => guest.resumeRing(ring, this.sane || random.chance(0.7) ? base : edgeNumber(random)));
    } else if (act === 2) this.#changeLog();
    else if (act === 3) this.#reconnect();
    else if (act === 4 && !this.sane) this.#changeRegions();
    else if (act === 4 && random.chance(0.5)) this.#setInflightAgain();
    else if (random.chance(0.5)) guest.shareMemory();
  }

  /** As a migration begins and ends: with the same log again, with one that is too short, with the feature or without. */
  #changeLog(): void {
    const random = this.#random;
    const { session } = this.guest;
    const dirty = this.#dirty;
    if (dirty === null) return;
    if (random.chance(0.5)) session.setFeatures(session.features ^ LOG_ALL);
    else if (this.sane || random.chance(0.6)) this.#setLog(dirty);
    else {
      const area = { ...dirty.area, sizeBytes: BigInt(edgeNumber(random)) };
      this.#orRefused(() => session.setLog(area, dirty.file.fd));
    }
  }

  /** The buffer that there is, or a new one. */
  #setInflightAgain(): void {
    if (this.#inflight === null) this.#inflight = this.#resources.use(InflightFile.of(this.guest));
    this.#setInflight();
  }

  /** A region goes, and comes back mostly; what lies in it is then not there, or somewhere else. */
  #changeRegions(): void {
    const { guest } = this;
    const random = this.#random;
    const region = random.pick(guest.ram.table);
    this.#orRefused(() => guest.session.removeMemory(region));
    if (random.chance(0.5)) scribbleRing(guest, random);
    if (random.chance(0.5)) this.#pump();
    if (random.chance(0.8)) this.#orRefused(() => guest.session.addMemory(region, guest.ram.file.fd));
  }

  /** The front-end goes without a word, or has asked where the rings are, and comes again with the same rings. */
  #reconnect(): void {
    const { guest } = this;
    const random = this.#random;
    const tellsBase = this.#inflight === null ? this.sane || random.chance(0.5) : random.chance(0.3);
    const bases = [guest.rx, guest.tx].map((ring) => (tellsBase ? guest.stopRing(ring) : ring.startBase));
    const { features } = guest;
    // A device that is a new one knows nothing of what was told before: a front-end calls its driver then.
    this.#waitsForCall = false;
    guest.disconnect();
    if (!this.sane && random.chance(0.5)) this.#inflight?.scribble(random);
    this.#context.pump();
    guest.connect(this.#context.adopt());
    guest.negotiate({ features });
    guest.shareMemory();
    if (this.#dirty !== null) this.#setLog(this.#dirty);
    this.#setInflight();
    for (const [i, ring] of [guest.rx, guest.tx].entries())
      this.#orRefused(() => guest.resumeRing(ring, random.chance(0.9) || this.sane ? bases[i] : edgeNumber(random)));
  }

  /** @throws Finding when a guest whose rings are all right is not served in the end. */
  checkServed(logged: readonly string[]): void {
    if (!this.sane) return;
    const broken = logged.find((line) => /broken until|ring \d stopped/.test(line));
    if (broken !== undefined) throw new Finding(`a driver that does all right: ${broken}`);
    if (!this.#canReceive) return;
    const { guest } = this;
    for (const ring of [guest.rx, guest.tx]) guest.enableRing(ring, true);
    for (let empty = 0; empty < 3; ) empty = guest.receive().length === 0 ? empty + 1 : 0;
    guest.tx.reapSent();
    if (guest.tx.outstanding > 0) throw new Finding(`${guest.tx.outstanding} frames were not sent`);
    // It may have claimed the gateway's address in between: whose address it is now, its last packet says.
    for (const name of ["udp4-echo", "arp-gateway"]) guest.send(this.#context.frame(name));
    guest.until(() => guest.receive().some(({ bytes }) => this.#context.isArpReply(bytes)), "an ARP reply");
  }

  /** There are buffers for a reply. */
  get #canReceive(): boolean {
    const isLong = this.#offered.reduce((sum, length) => sum + length, 0) >= 100;
    const waitsForLog = this.#ringsLogged && this.#isLogging && this.#dirty === null;
    return isLong && this.guest.rx.outstanding > 0 && !waitsForLog;
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}
