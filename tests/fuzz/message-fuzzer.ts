// Messages of a front-end that does not know, or does not want, what is right: bytes that are none, sessions of the corpus with
// changes in them, descriptors of every kind. All of it in one thread with the device, so that nothing depends on time.

import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEventFd, createPipe } from "@passt-ts/linux/eventfd";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { Capability } from "@passt-ts/net-backend/backend";
import { DeviceRig, testFrame } from "@passt-ts/vhost-user-device/testing/device-rig";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { type CorpusMessage, readSessions } from "./corpus.ts";
import { checkLog, Finding, type Fuzzer } from "./fuzzer.ts";
import { HeldWatch } from "./held.ts";
import { edgeNumber, mutated } from "./mutate.ts";
import { Random } from "./random.ts";

const MIB = 1024 * 1024;
/** The memory that the sessions of the corpus speak of. */
const REGIONS = [0, 1].map((i) => ({
  guestAddress: 0x4000_0000 + i * MIB,
  userAddress: 0x7f00_0000_0000 + i * 2 * MIB,
  fileOffset: i * MIB,
  sizeBytes: MIB,
}));
const FEATURES = featureMask(
  VirtioFeature.RING_PACKED,
  VirtioFeature.IN_ORDER,
  VirtioFeature.EVENT_IDX,
  VirtioFeature.INDIRECT_DESC,
);
const IN_BAND = 1n << 14n;
const MESSAGES_MAX = 60;
const FDS_MAX = 40;

export class MessageFuzzer implements Fuzzer {
  readonly #rig = new DeviceRig({
    echo: true,
    features: { offer: FEATURES, offerProtocol: IN_BAND },
    capabilities: Capability.givesPartialChecksum | Capability.takesPartialChecksum,
    config: { macAddress: Uint8Array.of(2, 0, 0, 0, 0, 1), mtu: 1500 },
  });
  readonly #bad = new TestFrontEnd({ memoryBytes: 2 * MIB, regions: REGIONS, pump: this.#rig.pump });
  readonly #good = new TestFrontEnd({ memoryBytes: 2 * MIB, pump: this.#rig.pump });
  readonly #sessions: readonly (readonly CorpusMessage[])[] = readSessions().map(({ value }) => value);
  readonly #fds: ReadonlyMap<string, number>;
  readonly #kinds: readonly string[];
  readonly #held = new HeldWatch();

  constructor() {
    const { ram, rx, tx } = this.#bad;
    const [pipeReader, pipeWriter] = createPipe();
    const [socket] = createSocketPair();
    this.#fds = new Map([
      ["memory", ram.file.fd],
      ["kick0", rx.kickFd],
      ["kick1", tx.kickFd],
      ["call0", rx.callFd],
      ["call1", tx.callFd],
      ["error0", rx.errorFd],
      ["error1", tx.errorFd],
      ["log", createMemoryFile("log", 65_536).fd],
      ["short", createMemoryFile("short", 100).fd],
      ["event", createEventFd(1).fd],
      ["pipeReader", pipeReader.fd],
      ["pipeWriter", pipeWriter.fd],
      ["socket", socket.fd],
      ["folder", openSync("/proc/self", "r")],
      ["null", openSync("/dev/null", "r+")],
      ["readOnly", openSync("/proc/self/exe", "r")],
      ["fifo", openFifo()],
    ]);
    this.#kinds = [...this.#fds.keys()];
  }

  round(seed: number, round: number): number {
    const random = new Random(seed, round);
    const rig = this.#rig;
    rig.logged.length = 0;
    const [ours, theirs] = createSocketPair();
    rig.device.adopt(ours);
    this.#bad.connect(theirs);
    let done = 0;
    try {
      done = random.chance(0.05) ? this.#sendNoise(random) : this.#sendSession(random);
      rig.pump();
      while (this.#poll());
    } finally {
      this.#bad.disconnect();
    }
    rig.pump();
    checkLog(rig.logged);
    if (rig.device.state.connected) throw new Finding("the front-end has gone, and the device does not know");
    this.#serveGood(round);
    this.#held.checkQuickly(this.#rig.windows.count);
    return done;
  }

  /** Reads a reply; false when there is none. The connection may be closed: that is the device's good right. */
  #poll(): boolean {
    const read = this.#bad.control.poll();
    if (read === null || read === "closed") return false;
    return true;
  }

  #sendNoise(random: Random): number {
    const bytes = new Uint8Array(random.few(5000));
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.word();
    this.#deliver(bytes, this.#randomFds(random), random);
    return 1;
  }

  #randomFds(random: Random): string[] {
    const count = random.chance(0.1) ? random.below(FDS_MAX) : random.below(4);
    return Array.from({ length: count }, () => random.pick(this.#kinds));
  }

  #sendSession(random: Random): number {
    const messages = this.#messagesOf(random);
    for (const [i, { bytes, fds }] of messages.entries()) {
      this.#deliver(bytes, fds, random);
      if (random.chance(0.2)) this.#rig.pump();
      if (!this.#rig.device.state.connected) return i + 1;
      if (random.chance(0.15)) this.#touchRings(random);
    }
    // Gone in the middle of a message, now and then.
    if (random.chance(0.2)) this.#deliver(random.pick(messages).bytes.slice(0, random.below(30)), [], random);
    return messages.length;
  }

  /** A session of the corpus with a few changes. */
  #messagesOf(random: Random): CorpusMessage[] {
    const messages = random.pick(this.#sessions).slice();
    for (let changes = random.few(12); changes > 0; changes--) {
      const at = random.below(messages.length);
      const other = random.pick(random.pick(this.#sessions));
      const act = random.below(7);
      if (act === 0) messages.splice(at, 1);
      else if (act === 1) messages.splice(at, 0, messages[random.below(messages.length)] ?? other);
      else if (act === 2) messages.splice(at, 0, other);
      else messages[at] = this.#changed(messages[at] ?? other, random);
      if (messages.length === 0) messages.push(other);
    }
    return messages.slice(0, MESSAGES_MAX);
  }

  #changed({ bytes, fds }: CorpusMessage, random: Random): CorpusMessage {
    const act = random.below(4);
    if (act === 0) return { bytes, fds: this.#randomFds(random) };
    if (act === 1) return { bytes: mutated(bytes, random), fds };
    if (bytes.length < 12) return { bytes, fds };
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    // Another request, or a payload with another number in it; the header's length stays true.
    if (act === 2) view.setUint32(0, random.below(50), true);
    else if (copy.length >= 16)
      view.setUint32(12 + 4 * random.below((copy.length - 12) >>> 2), edgeNumber(random), true);
    if (random.chance(0.3)) copy[4] |= 8;
    return { bytes: copy, fds };
  }

  /** Sends, in one piece or several, as long as the device listens. */
  #deliver(bytes: Uint8Array, fds: readonly string[], random: Random): void {
    const numbers = fds.map((kind) => this.#fds.get(kind) ?? this.#bad.ram.file.fd);
    const cut = random.chance(0.15) ? random.below(bytes.length + 1) : 0;
    try {
      if (cut > 0) {
        this.#bad.control.send(bytes.subarray(0, cut), numbers);
        if (random.chance(0.5)) this.#rig.pump();
      }
      if (cut < bytes.length) this.#bad.control.send(bytes.subarray(cut), cut > 0 ? [] : numbers);
    } catch {
      // The device has closed the connection, or does not read as fast: what is sent to nobody does nothing.
      this.#rig.pump();
    }
  }

  #touchRings(random: Random): void {
    const ring = random.chance(0.5) ? this.#bad.rx : this.#bad.tx;
    const { descriptors, available } = ring.ring;
    const flags = random.pick([0, 1, 2, 3, 4, 6, edgeNumber(random)]) | (random.below(8) << 16);
    const address = 0x4000_0000 + random.below(2 * MIB);
    descriptors.set([address, 0, random.pick([60, 100, 1526, edgeNumber(random)]), flags], 4 * random.below(8));
    available[2 + random.below(16)] = random.below(8);
    Atomics.store(available, 1, random.chance(0.8) ? random.below(16) : edgeNumber(random));
    ring.kickAnyway();
    if (random.chance(0.3)) this.#rig.backend.deliver(testFrame(60 + random.below(1500)));
  }

  /** @throws Finding when a front-end that does everything right is not served. */
  #serveGood(round: number): void {
    const rig = this.#rig;
    const [ours, theirs] = createSocketPair();
    rig.device.adopt(ours);
    const good = this.#good.connect(theirs);
    const frame = testFrame(60 + (round % 1400), round & 0xff);
    good.boot({ features: ~(1n << 26n), protocolFeatures: ~IN_BAND });
    good.offerBuffers(2);
    good.send(frame);
    const [received] = good.receiveMany(1);
    if (Buffer.compare(received.bytes.subarray(0, frame.length), frame) !== 0)
      throw new Finding("another frame came back");
    good.disconnect();
    rig.pump();
  }

  checkHeld(): void {
    this.#held.check();
  }
}

/** A descriptor that blocks, as those of a front-end may. */
function openFifo(): number {
  const folder = mkdtempSync(join(tmpdir(), "passt-ts-"));
  try {
    const path = join(folder, "fifo");
    execFileSync("mkfifo", [path]);
    const keepOpen = openSync(path, "r+");
    const fd = openSync(path, "r+");
    closeSync(keepOpen);
    return fd;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
