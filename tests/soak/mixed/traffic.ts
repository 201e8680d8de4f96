// Traffic of all kinds at once over one link: streams and datagrams both ways, pings, ARP and DHCP, each with its contents checked.

import type { ReceivedFrame } from "@passt-ts/vhost-user-device/testing/test-ring";
import { udp } from "../../conformance/frames.ts";
import type { Random } from "../../fuzz/random.ts";
import { datagramIn, isTcp } from "../../matrix/frame-check.ts";
import type { GuestLink } from "../../matrix/guest-link.ts";
import { GuestStream } from "../../matrix/guest-stream.ts";
import { SEGMENT_BYTES, type SentFrame } from "../../matrix/offload.ts";
import { pattern } from "../../matrix/pattern.ts";
import { echoPort, forwardedPort } from "../../matrix/ports.ts";
import { arpRequest, datagramRequest, dhcpRequest, expectBytes, pingRequest, type Request } from "./requests.ts";
import type { SoakHost } from "./soak-host.ts";

const STREAM_BYTES_MAX = 150_000;
const DATAGRAM_BYTES_MAX = 65_507;
/** Segments in a frame that the daemon is to cut. */
const SEGMENTS_MAX = 40;
const RESEND_MS = 400;
const TIMEOUT_MS = 15_000;
const FIRST_PORT = 20_000;
const PORTS = 40_000;
const RST = 4;

/** Something that is under way. */
interface Exchange {
  /** Sees a frame; true when it was for this one. @throws Error when it is not as it should be. */
  readonly take: (frame: ReceivedFrame) => boolean;
  /** What it has to send now. */
  readonly frames: (nowMs: number) => readonly SentFrame[];
  readonly isDone: () => boolean;
  readonly text: string;
}

const u16 = (bytes: Uint8Array, at: number): number => bytes[at] * 256 + bytes[at + 1];

/** Numbers that are other ones each time, for a whole run. */
export interface Numbers {
  next: number;
}

export class Traffic {
  /** Bytes of payload that came back as they were sent. */
  bytes = 0;
  readonly #link: GuestLink;
  readonly #host: SoakHost;
  readonly #random: Random;
  readonly #numbers: Numbers;
  readonly #exchanges: Exchange[] = [];
  /** Streams that the host began, by its port: the guest sends everything back. */
  readonly #accepted = new Map<number, GuestStream>();
  #askedStreams = 0;
  readonly #replies: SentFrame[] = [];

  /** Begins some of each kind. */
  constructor(link: GuestLink, host: SoakHost, random: Random, numbers: Numbers) {
    this.#link = link;
    this.#host = host;
    this.#random = random;
    this.#numbers = numbers;
    link.deliverTo((frame) => this.#take(frame));
    for (let i = random.below(3); i > 0; i--) this.#streamOut();
    for (let i = random.below(3); i > 0; i--) this.#asked("tcp", 1 + random.few(STREAM_BYTES_MAX));
    for (let i = random.below(3); i > 0; i--) this.#datagramOut();
    if (random.chance(0.3)) this.#request(arpRequest());
    if (random.chance(0.3)) this.#request(dhcpRequest(numbers.next++));
    for (let i = random.below(3); i > 0; i--) this.#asked("udp", 1 + random.few(DATAGRAM_BYTES_MAX - 1));
    if (random.chance(0.3) || this.#exchanges.length === 0)
      this.#request(pingRequest(numbers.next++ & 0xffff, 1 + random.below(1400)));
  }

  /** Each stream that the host was asked for has reached the guest: one that comes while its rings stand still is reset. */
  get isOpen(): boolean {
    return this.#accepted.size >= this.#askedStreams;
  }

  get isDone(): boolean {
    return this.#exchanges.every((one) => one.isDone());
  }

  #stream(guestPort: number, peerPort: number): GuestStream {
    const frameBytes = this.#link.one.offloads ? SEGMENT_BYTES * (1 + this.#random.below(SEGMENTS_MAX)) : null;
    return new GuestStream({ guestPort, peerPort, ...(frameBytes === null ? {} : { frameBytes }) });
  }

  #streamOut(): void {
    const seed = this.#numbers.next++;
    const sent = pattern(seed, 1 + this.#random.few(STREAM_BYTES_MAX));
    const stream = this.#stream(FIRST_PORT + (seed % PORTS), echoPort);
    stream.connect();
    stream.write(sent);
    stream.end();
    let isChecked = false;
    this.#exchanges.push({
      take: (frame) => isTcp(frame) && stream.take(frame),
      frames: () => stream.takeFrames(),
      isDone: () => {
        if (!stream.isClosed || isChecked) return isChecked;
        expectBytes("stream out", stream.received, sent);
        this.bytes += sent.length;
        isChecked = true;
        return true;
      },
      text: `stream out of ${sent.length} bytes`,
    });
  }

  #datagramOut(): void {
    const seed = this.#numbers.next++;
    this.#request(datagramRequest(seed, FIRST_PORT + (seed % PORTS), 1 + this.#random.few(DATAGRAM_BYTES_MAX - 1)));
  }

  /** The host sends, and says whether all of it came back. */
  #asked(over: "tcp" | "udp", lengthBytes: number): void {
    if (over === "tcp") this.#askedStreams++;
    const id = this.#numbers.next++;
    this.#host.ask(over, id, id, lengthBytes);
    let isDone = false;
    this.#exchanges.push({
      take: () => false,
      frames: () => [],
      isDone: () => {
        if (isDone) return true;
        const answer = this.#host.answer(id);
        if (answer === null) return false;
        if (answer !== "") throw new Error(`${over} in of ${lengthBytes} bytes: ${answer}`);
        this.bytes += lengthBytes;
        isDone = true;
        return true;
      },
      text: `${over} in of ${lengthBytes} bytes`,
    });
  }

  /** Sent again until its answer comes. */
  #request({ text, frame, isAnswer, lengthBytes }: Request): void {
    let sentMs = Number.NEGATIVE_INFINITY;
    let isDone = false;
    this.#exchanges.push({
      take: (received) => {
        if (!isAnswer(received)) return false;
        if (!isDone) this.bytes += lengthBytes;
        isDone = true;
        return true;
      },
      frames: (nowMs) => {
        if (isDone || nowMs - sentMs < RESEND_MS) return [];
        sentMs = nowMs;
        return [{ bytes: frame }];
      },
      isDone: () => isDone,
      text,
    });
  }

  #take(frame: ReceivedFrame): void {
    if (this.#exchanges.some((one) => one.take(frame))) return;
    const { bytes } = frame;
    if (isTcp(frame)) {
      if (u16(bytes, 36) === forwardedPort) this.#takeAccepted(frame, u16(bytes, 34));
      return;
    }
    const datagram = datagramIn(frame);
    if (datagram?.destinationPort !== forwardedPort) return;
    const { source, sourcePort, payload } = datagram;
    this.#replies.push({ bytes: udp({ to: source }, forwardedPort, sourcePort, payload) });
  }

  /** A host that has forgotten a stream resets it; that it did so for no reason, it says itself. */
  #takeAccepted(frame: ReceivedFrame, peerPort: number): void {
    if ((frame.bytes[47] & RST) !== 0) {
      this.#accepted.delete(peerPort);
      return;
    }
    let stream = this.#accepted.get(peerPort);
    if (stream === undefined) {
      stream = this.#stream(forwardedPort, peerPort);
      this.#accepted.set(peerPort, stream);
    }
    const wasEnded = stream.ended;
    stream.take(frame);
    if (!stream.ended || wasEnded) return;
    stream.write(stream.received);
    stream.end();
  }

  #frames(): SentFrame[] {
    const nowMs = performance.now();
    const streams = [...this.#accepted.values()].flatMap((stream) => stream.takeFrames());
    return [...this.#replies.splice(0), ...streams, ...this.#exchanges.flatMap((one) => one.frames(nowMs))];
  }

  /** Goes on until `enough`. @throws Error when it is never enough, or something came that should not. */
  async run(enough: () => boolean): Promise<void> {
    const link = this.#link;
    const endMs = performance.now() + TIMEOUT_MS;
    while (!enough()) {
      if (performance.now() > endMs) throw new Error(`not done: ${this.#left().join(", ")}`);
      for (const frame of this.#frames()) await link.send(frame);
      const { framesReceived } = link;
      const dueMs = performance.now() + RESEND_MS / 4;
      const due = (): boolean => enough() || link.framesReceived > framesReceived || performance.now() > dueMs;
      await link.until(due, "frames");
    }
    for (const frame of this.#frames()) await link.send(frame);
  }

  #left(): string[] {
    return this.#exchanges.filter((one) => !one.isDone()).map(({ text }) => text);
  }
}
