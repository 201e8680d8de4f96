import { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend, NetHeaderLength } from "../backend.ts";
import { setCapabilities } from "../header-length.ts";
import { batchOf, type MakeMemory, plainMemory } from "./frame-source.ts";
import { type RecordedFrame, RecordingSink, type RecordingSinkOptions } from "./recording-sink.ts";

/** A back-end under test, and what is behind it. */
export interface BackendUnderTest {
  readonly backend: NetBackend;
  /** Memory that the back-end's system calls reach; left out when it needs none such. */
  readonly memory?: MakeMemory;
  /** A frame that the back-end can carry to where {@link BackendUnderTest.carried} sees it. */
  frame(lengthBytes: number, seed: number): Uint8Array;
  /** Makes a frame arrive for the guest. */
  arrive(frame: Uint8Array): void;
  /** The frames of `send` that arrived behind the back-end since the last call. */
  carried(): Uint8Array[];
}

/** Makes a new back-end whose frames lie in `windows`. */
export type MakeBackend = (windows: WindowTable) => BackendUnderTest;

/** One rule that every back-end keeps. */
export interface ContractCase {
  readonly name: string;
  /** Throws when the back-end breaks the rule. */
  run(make: MakeBackend): void;
}

/** How a {@link Trial} is set up: the sink's options, and what is negotiated. */
export interface TrialOptions extends Omit<RecordingSinkOptions, "windows" | "memory" | "headerLength"> {
  /** Length of the header in front of the guest's frames, both ways. Default 12. */
  readonly headerLength?: NetHeaderLength;
}

const SINK_MEMORY_BYTES = 1024 * 1024;

/** One back-end between a device that a rule plays and what is behind it. */
export class Trial {
  readonly windows: WindowTable = new WindowTable();
  readonly under: BackendUnderTest;
  readonly backend: NetBackend;
  readonly sink: RecordingSink;
  readonly #headerLength: NetHeaderLength;
  readonly #memory: MakeMemory;

  constructor(make: MakeBackend, options: TrialOptions = {}) {
    const { headerLength = 12, ...sinkOptions } = options;
    this.under = make(this.windows);
    this.backend = this.under.backend;
    this.#headerLength = headerLength;
    this.#memory = this.under.memory ?? plainMemory;
    const memory = this.#memory(SINK_MEMORY_BYTES);
    this.sink = new RecordingSink({ ...sinkOptions, headerLength, memory, windows: this.windows });
    check(setCapabilities(this.backend, 0, headerLength) === 0, `no work with a header of ${headerLength} bytes`);
    this.backend.attach(this.sink);
  }

  /** Frames of these lengths, each with bytes of its own. */
  frames(...lengths: readonly number[]): Uint8Array[] {
    return lengths.map((lengthBytes, seed) => this.under.frame(lengthBytes, seed));
  }

  /** Sends frames as one batch, and writes over its buffers when that has returned, as a driver may. */
  send(frames: readonly Uint8Array[], entryBytes: readonly number[] = []): void {
    const batch = batchOf(this.windows, frames, entryBytes, this.#headerLength, this.#memory);
    this.backend.send(batch, batch.count, 0);
    const { windows, window, offset, length, count } = batch.pool;
    for (let i = 0; i < count; i++) windows.bytes[window[i]].fill(0xdd, offset[i], offset[i] + length[i]);
  }

  /** Makes frames arrive for the guest, and lets the back-end work. */
  arrive(frames: readonly Uint8Array[]): void {
    for (const frame of frames) this.under.arrive(frame);
    this.work();
  }

  /** Turns until none wants another at once; then nothing may be left reserved. */
  work(): void {
    for (let round = 0; this.backend.turn(round); round++) check(round < 1000, "turn never says that it is done");
    this.sink.assertSettled();
  }

  /** What arrived behind the back-end, after it had time to work; what waited for that to be taken comes along. */
  carried(): Uint8Array[] {
    const all: Uint8Array[] = [];
    for (let wasFull = true; wasFull; ) {
      this.work();
      wasFull = this.backend.full === true;
      const frames = this.under.carried();
      all.push(...frames);
      check(!wasFull || frames.length > 0, "it is full, and nothing is carried");
    }
    return all;
  }

  /** What the guest got. */
  received(): RecordedFrame[] {
    return this.sink.take();
  }

  /** Throws when the guest did not get exactly these frames. */
  expectReceived(expected: readonly Uint8Array[]): void {
    compare(
      this.received().map(({ bytes }) => bytes),
      expected,
    );
  }
}

/** Throws when two lists of frames differ. */
export function compare(got: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  check(got.length === expected.length, `${got.length} frames instead of ${expected.length}`);
  for (const [i, frame] of expected.entries()) {
    check(isSame(got[i], frame), `frame ${i}: ${got[i].length} bytes that are not the ${frame.length} expected`);
  }
}

/** Throws unless every frame that came is one that was sent, whole, and they are in order. */
export function expectSomeOf(got: readonly Uint8Array[], sent: readonly Uint8Array[]): void {
  let at = 0;
  for (const [i, frame] of got.entries()) {
    while (at < sent.length && !isSame(frame, sent[at])) at++;
    check(at < sent.length, `frame ${i} of ${got.length} is none that was sent after the one before it`);
    at++;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Throws what is wrong. */
export function check(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Error(problem);
}
