import { expect, test } from "bun:test";
import fc from "fast-check";
import { IDLE_TIMEOUT_MS, KEEPALIVE_MS } from "./idle-watch.ts";
import { BadLink } from "./testing/bad-link.ts";
import { EngineRig, GUEST4, GUEST6, REMOTE4, REMOTE6 } from "./testing/engine-rig.ts";
import type { FakeSocket } from "./testing/fake-tcp-sockets.ts";
import { F, type SeenSegment, type SegmentFields } from "./testing/frames.ts";
import { pattern } from "./testing/guest-end.ts";
import { GuestStack } from "./testing/guest-stack.ts";

const STEPS_MAX = 30_000;

const connectionOf = fc.record({
  isActive: fc.boolean(),
  v4: fc.boolean(),
  mss: fc.constantFrom(100, 536, 1460, 9000),
  windowScale: fc.constantFrom(-1, 0, 2, 7),
  receiveBytes: fc.constantFrom(300, 4000, 65535, 200_000),
  toGuestBytes: fc.oneof(fc.nat(50), fc.nat(30_000)),
  toHostBytes: fc.oneof(fc.nat(50), fc.nat(30_000)),
  sendBufferBytes: fc.constantFrom(3000, 20_000, 1 << 20),
  /** Who closes when the other one has: nobody waits, the guest does, the host does. */
  waits: fc.constantFrom("nobody", "guest", "host"),
});
type Parameters = typeof connectionOf extends fc.Arbitrary<infer Value> ? Value : never;

const scenario = fc.record({
  seed: fc.integer(),
  connections: fc.array(connectionOf, { minLength: 1, maxLength: 3 }),
  loss: fc.constantFrom(0, 0.02, 0.1),
  duplication: fc.constantFrom(0, 0.1),
  reordering: fc.constantFrom(0, 0.2),
  entryBytes: fc.constantFrom([65562], [12, 1514], [5, 21, 40, 1500], [66, 600], [100, 100, 100, 100], [128]),
  ringElements: fc.constantFrom(256, Infinity),
  pieces: fc.constantFrom([1 << 20], [66, 1 << 20], [69, 100], [12, 14, 20, 8, 300], [7]),
  batchSegments: fc.constantFrom(1, 3, 1024),
  burstBytes: fc.constantFrom(1000, 1 << 18),
  peekOffset: fc.boolean(),
  partialChecksum: fc.boolean(),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** A small generator (mulberry32): the run follows from the seed alone. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One connection: the guest's stack at one end, the host's peer at the other. */
class Pair {
  readonly parameters: Parameters;
  readonly stack: GuestStack;
  readonly toGuest: Uint8Array;
  readonly toHost: Uint8Array;
  readonly guestPort: number;
  readonly peerPort: number;
  socket: FakeSocket | undefined;
  pushed = 0;

  constructor(parameters: Parameters, index: number, random: () => number) {
    this.parameters = parameters;
    this.guestPort = 1000 + index;
    this.peerPort = 2000 + index;
    this.toGuest = pattern(parameters.toGuestBytes, 7 * index);
    this.toHost = pattern(parameters.toHostBytes, 1000 + index);
    const { v4, isActive, mss, windowScale, receiveBytes, waits } = parameters;
    this.stack = new GuestStack({
      addresses: {
        source: v4 ? GUEST4 : GUEST6,
        destination: v4 ? REMOTE4 : REMOTE6,
        sourcePort: this.guestPort,
        destinationPort: this.peerPort,
      },
      isActive,
      isn:
        Math.floor(random() * 2) === 0 ? 0xffff_ffff - Math.floor(random() * 20_000) : Math.floor(random() * 2 ** 32),
      mss,
      windowScale,
      receiveBytes,
      outgoing: this.toHost,
      incoming: this.toGuest,
      closesLast: waits === "guest",
      random,
    });
  }
}

/** Runs one scenario to its end, or throws. */
class Run {
  readonly rig: EngineRig;
  readonly pairs: readonly Pair[];
  readonly #random: () => number;
  readonly #ringElements: number;
  readonly #toEngine: BadLink<Partial<SegmentFields>>;
  readonly #toGuest: BadLink<SeenSegment>;

  constructor(given: Scenario) {
    const { connections, entryBytes, pieces, batchSegments, burstBytes, peekOffset, partialChecksum } = given;
    const random = randomOf(given.seed);
    this.#random = random;
    this.#ringElements = given.ringElements;
    this.rig = new EngineRig({
      sink: { entryBytes, partialChecksum, elements: given.ringElements },
      engine: { batchSegments, burstBytes, capacity: 3, keepaliveMs: KEEPALIVE_MS, idleTimeoutMs: IDLE_TIMEOUT_MS },
      peekOffset,
      pieces,
    });
    this.#toEngine = new BadLink({ ...given, random });
    this.#toGuest = new BadLink({ ...given, random });
    this.pairs = connections.map((parameters, index) => new Pair(parameters, index, random));
    for (const pair of this.pairs) if (!pair.parameters.isActive) this.#connectFromHost(pair);
  }

  finish(): void {
    for (let step = 0; step < STEPS_MAX; step++) {
      const before = this.#activity();
      for (const pair of this.pairs) this.#moveEnds(pair);
      this.#moveFrames();
      if (this.rig.engine.flowCount === 0 && this.pairs.every(({ stack }) => stack.isDone)) return;
      this.#moveClock(this.#activity() === before);
    }
    throw new Error("the streams do not come to an end");
  }

  #upTo(count: number): number {
    return Math.floor(this.#random() * (count + 1));
  }

  #connectFromHost(pair: Pair): void {
    const { rig } = this;
    const number = rig.sockets.incoming();
    const peer = pair.parameters.v4 ? REMOTE4 : REMOTE6;
    if (rig.engine.accepted(number, peer, pair.peerPort, pair.guestPort, rig.nowMs) < 0) throw new Error("refused");
    pair.socket = rig.sockets.sockets[number];
    this.#prepare(pair);
  }

  #prepare(pair: Pair): void {
    if (pair.socket === undefined) return;
    pair.socket.drains = false;
    pair.socket.sendBufferBytes = pair.parameters.sendBufferBytes;
  }

  /** What applications and the host's kernel do. */
  #moveEnds(pair: Pair): void {
    const { sockets } = this.rig;
    if (pair.socket === undefined) {
      pair.socket = sockets.sockets.find(({ port }) => port === pair.peerPort);
      this.#prepare(pair);
    }
    const { socket, stack, parameters } = pair;
    stack.read(this.#upTo(5000));
    if (socket === undefined || socket.state !== "open") return;
    if (!socket.connected) {
      if (this.#random() < 0.3) sockets.complete(socket);
      return;
    }
    if (this.#random() < 0.5) sockets.drain(socket, this.#upTo(8000));
    this.rig.sockets.limitPeeks(socket, this.#random() < 0.2 ? 1 + this.#upTo(3000) : Infinity);
    socket.sendBytesMax = this.#random() < 0.1 ? this.#upTo(3000) : Infinity;
    const bytes = Math.min(this.#upTo(6000), pair.toGuest.length - pair.pushed);
    if (bytes > 0) sockets.push(socket, pair.toGuest.subarray(pair.pushed, pair.pushed + bytes));
    pair.pushed += bytes;
    const mayEnd = parameters.waits !== "host" || socket.writeShut;
    if (pair.pushed === pair.toGuest.length && mayEnd && !socket.eof) sockets.end(socket);
  }

  #moveFrames(): void {
    const { rig, pairs } = this;
    for (const { stack } of pairs) for (const segment of stack.output(rig.nowMs)) this.#toEngine.push(segment);
    // A SYN that comes after its connection has ended would begin another one.
    this.#toEngine.lose(({ flags, sourcePort }) => flags === F.syn && this.#pairOf(sourcePort).stack.isEstablished);
    rig.input(...this.#toEngine.take(this.#upTo(12)));
    rig.sink.elements = Math.min(this.#ringElements, rig.sink.elements + this.#upTo(100));
    for (const segment of rig.settle()) this.#toGuest.push(segment);
    for (const segment of this.#toGuest.take(this.#upTo(20))) {
      this.#pairOf(segment.destinationPort).stack.receive(segment, rig.nowMs);
    }
  }

  #pairOf(port: number | undefined): Pair {
    const pair = this.pairs.find(({ guestPort }) => guestPort === port);
    if (pair === undefined) throw new Error(`a segment for port ${port}`);
    return pair;
  }

  /** A number that changes when anything moves. */
  #activity(): number {
    const { counters } = this.rig.engine;
    let sum = this.#toEngine.length + this.#toGuest.length;
    for (const count of counters) sum += count;
    for (const { pushed, socket } of this.pairs) sum += pushed + (socket?.queuedBytes ?? 0);
    return sum;
  }

  #moveClock(isIdle: boolean): void {
    const { rig } = this;
    rig.nowMs += this.#upTo(4);
    if (!isIdle || this.#toEngine.length + this.#toGuest.length > 0) return;
    const next = Math.min(rig.engine.deadlineMs, ...this.pairs.map(({ stack }) => stack.deadlineMs));
    if (next !== Infinity) rig.nowMs = Math.max(rig.nowMs, next);
  }
}

test("what arrives at each end is exactly what was sent, over any link, and nothing is left behind", () => {
  fc.assert(
    fc.property(scenario, (given) => {
      const run = new Run(given);
      run.finish();
      const { engine, sockets } = run.rig;
      for (const { socket, toHost } of run.pairs) {
        expect(Buffer.from(socket?.sent ?? []).equals(Buffer.from(toHost))).toBe(true);
        expect([socket?.state, socket?.writeShut, socket?.queue.length]).toEqual(["closed", true, 0]);
      }
      expect(sockets.sockets.length).toBe(run.pairs.length);
      expect([engine.flowCount, engine.deadlineMs, engine.waitsForRoom]).toEqual([0, Infinity, false]);
    }),
    { numRuns: 100 },
  );
}, 60_000);
