// Each frame of the corpus over two entries, split everywhere, against the same frame in one piece: through the back-end and all of its
// engines, to the sockets of a host. Run in a network namespace of its own, by split-frames.test.ts: bun split-frames.ts; says what came of
// each frame as JSON.

import { BackendRig } from "@passt-ts/backend-sockets/testing/backend-rig";
import { ip } from "@passt-ts/backend-sockets/testing/namespace";
import { readFrames } from "./corpus.ts";
import { EchoHost } from "./echo-host.ts";
import { FlowNumbers } from "./flow-numbers.ts";

/** What came of one frame of the corpus. */
export interface SplitReport {
  readonly name: string;
  readonly splits: number;
  /** What came of it in one piece. */
  readonly whole: string;
  /** The first split with which something else came of it, and what; empty when there is none. */
  readonly different: string;
}

const HEADER_BYTES = 12;
const REST = 65536;
const IP_AT = 14;
const TCP_FLAG = { fin: 1, syn: 2, reset: 4, ack: 16 } as const;
/** Longer than anything takes that comes over loopback. */
const QUIET_ROUNDS = 30;
const ROUNDS_MAX = 2000;
/** Between two frames: nothing that is limited in rate is still so. */
const PAUSE_MS = 1500;

const frames: ReadonlyMap<string, Uint8Array> = new Map(readFrames().map(({ name, value }) => [name, value]));

function frameOf(name: string): Uint8Array {
  const frame = frames.get(name);
  if (frame === undefined) throw new Error(`no frame ${name} in the corpus`);
  return frame.slice();
}

const isIpv4 = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0;
const viewOf = (frame: Uint8Array): DataView => new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
const tcpAt = (frame: Uint8Array): number => IP_AT + (isIpv4(frame) ? 20 : 40);

/** A segment without data of the connection that `name` belongs to, with these flags. */
function bareSegment(name: string, flags: number): Uint8Array {
  const frame = frameOf(name);
  const at = tcpAt(frame);
  const view = viewOf(frame);
  if (isIpv4(frame)) view.setUint16(IP_AT + 2, 40);
  else view.setUint16(IP_AT + 4, 20);
  frame[at + 12] = 0x50;
  frame[at + 13] = flags;
  return frame.slice(0, at + 20);
}

class SplitPlayer implements Disposable {
  readonly #name: string;
  readonly #frame: Uint8Array;
  readonly #isTcp: boolean;
  readonly #rig = new BackendRig();
  readonly #host: EchoHost;
  readonly #numbers = new FlowNumbers();
  #answers: Uint8Array[] = [];
  /** The sequence number of the segment that is split. */
  #sequence = 0;

  constructor(name: string, host: EchoHost) {
    this.#name = name;
    this.#frame = frameOf(name);
    this.#isTcp = name.startsWith("tcp");
    this.#host = host;
  }

  report(): SplitReport {
    const splits = this.#frame.length - 1;
    // What the back-end learns from the first one is known to all others.
    this.#play(0, "");
    const whole = this.#play(0, "");
    for (let split = 1; split <= splits; split++) {
      const came = this.#play(split, whole);
      if (came !== whole) return { name: this.#name, splits, whole, different: `split at ${split}: ${came}` };
    }
    return { name: this.#name, splits, whole, different: "" };
  }

  /** What comes of the frame: waits until it is what was expected, or until nothing more comes. */
  #play(split: number, expected: string): string {
    this.#rig.pass(PAUSE_MS);
    this.#pump(0);
    const before = this.#counters();
    if (this.#isTcp) this.#playTcp(split);
    else {
      this.#answers = [];
      this.#send(this.#frame, split);
      // A fragment is seen only in what it completes.
      if (this.#name === "fragment4-first") this.#send(frameOf("fragment4-last"), 0);
      if (this.#name === "fragment4-last") this.#send(frameOf("fragment4-first"), 0);
    }
    const came = this.#settled(before, expected);
    if (this.#isTcp) this.#endStream();
    return came;
  }

  /** The frame in its place in a connection, and behind it data, which show what it did. */
  #playTcp(split: number): void {
    const name = this.#name;
    const family = name.slice(0, 4);
    const frame = this.#frame.slice();
    const isFirst = (frame[tcpAt(frame) + 13] & TCP_FLAG.syn) !== 0;
    if (!isFirst) {
      this.#sendSegment(frameOf(`${family}-syn`), 0);
      this.#awaitAnswer();
      if (!name.endsWith("-ack")) this.#sendSegment(bareSegment(`${family}-data`, TCP_FLAG.ack), 0);
      this.#pump(0);
      this.#answers = [];
    }
    this.#answers = [];
    this.#sendSegment(frame, split);
    this.#sequence = viewOf(frame).getUint32(tcpAt(frame) + 4);
    // Behind a FIN nothing may come.
    if (isFirst || (frame[tcpAt(frame) + 13] & TCP_FLAG.fin) !== 0) return;
    this.#pump(0);
    this.#sendSegment(frameOf(`${family}-data`), 0);
  }

  #awaitAnswer(): void {
    for (let round = 0; this.#answers.length === 0; round++) {
      if (round > ROUNDS_MAX) throw new Error(`${this.#name}: no answer to the SYN`);
      this.#pump(round > 20 ? 1 : 0);
    }
  }

  #endStream(): void {
    this.#sendSegment(bareSegment(`${this.#name.slice(0, 4)}-data`, TCP_FLAG.reset | TCP_FLAG.ack), 0);
    this.#pump(0);
    this.#host.closeStreams();
    this.#pump(0);
    this.#answers = [];
  }

  #sendSegment(frame: Uint8Array, split: number): void {
    this.#numbers.adjust(frame);
    this.#send(frame, split);
    this.#numbers.sent(frame);
  }

  #send(frame: Uint8Array, split: number): void {
    this.#rig.send([frame], split === 0 ? [] : [HEADER_BYTES + split, REST]);
  }

  #pump(waitMs: number): void {
    this.#rig.pump(waitMs);
    this.#host.answer();
    for (const { bytes } of this.#rig.take()) {
      this.#answers.push(bytes);
      this.#numbers.received(bytes);
    }
  }

  #settled(before: readonly number[], expected: string): string {
    const rounds = expected === "" ? QUIET_ROUNDS : ROUNDS_MAX;
    let came = "";
    for (let round = 0; round < rounds; round++) {
      this.#pump(expected === "" || round > 20 ? 1 : 0);
      came = this.#isTcp ? this.#streamText() : this.#answerText(before);
      if (came === expected) break;
    }
    return came;
  }

  /** Numbers of the back-end and of the engines that do not go by the time. */
  #counters(): number[] {
    const { backend, engines } = this.#rig;
    return [backend, engines.udp, engines.icmp].flatMap(({ counters }) => [...counters]);
  }

  #answerText(before: readonly number[]): string {
    const counted = this.#counters().flatMap((count, i) => (count === before[i] ? [] : [`${i}+${count - before[i]}`]));
    return [...this.#answers.map((answer) => masked(answer).toHex()), counted.join(" ")].join("\n");
  }

  /** What the answers say together: how they are cut and which of them is acknowledged first goes by the time. */
  #streamText(): string {
    let flags = 0;
    let data = 0;
    let acknowledged = 0;
    for (const answer of this.#answers) {
      const at = tcpAt(answer);
      const view = viewOf(answer);
      acknowledged = (view.getUint32(at + 8) - this.#sequence) >>> 0;
      const end = isIpv4(answer) ? IP_AT + view.getUint16(IP_AT + 2) : at + view.getUint16(IP_AT + 4);
      flags |= answer[at + 13] & (TCP_FLAG.fin | TCP_FLAG.syn | TCP_FLAG.reset);
      for (let i = at + 4 * (answer[at + 12] >>> 4); i < end; i++) data = (Math.imul(data, 31) + answer[i]) >>> 0;
    }
    return `flags ${flags}, data ${data}, acknowledged ${acknowledged}`;
  }

  [Symbol.dispose](): void {
    this.#rig.close();
  }
}

/** Without the number of an IPv4 packet, and the checksum over it. */
function masked(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  if (!isIpv4(copy)) return copy;
  copy.fill(0, IP_AT + 4, IP_AT + 6);
  copy.fill(0, IP_AT + 10, IP_AT + 12);
  return copy;
}

if (import.meta.main) {
  ip("link set lo up");
  await Bun.write("/proc/sys/net/ipv4/ping_group_range", "0 0");
  const host = new EchoHost();
  const reports = [...frames.keys()].map((name) => {
    using player = new SplitPlayer(name, host);
    return player.report();
  });
  process.stdout.write(JSON.stringify(reports));
}
