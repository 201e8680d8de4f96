import { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend, NetHeaderLength } from "../backend.ts";
import { setCapabilities } from "../header-length.ts";
import { batchOf, overwrite } from "./frame-source.ts";
import { RecordingSink, type RecordingSinkOptions } from "./recording-sink.ts";

/** A back-end under test, and what is behind it. */
export interface BackendUnderTest {
  readonly backend: NetBackend;
  /** A frame that the back-end can carry to where {@link BackendUnderTest.carried} sees it. */
  frame(lengthBytes: number, seed: number): Uint8Array;
  /** Makes a frame arrive for the guest. */
  arrive(frame: Uint8Array): void;
  /** The frames of `send` that arrived behind the back-end since the last call. */
  carried(): Uint8Array[];
}

/** One rule that every back-end keeps. */
export interface ContractCase {
  readonly name: string;
  /**
   * Throws when the back-end breaks the rule.
   *
   * @param make makes a new back-end whose frames lie in `windows`.
   */
  run(make: (windows: WindowTable) => BackendUnderTest): void;
}

/** The rules of {@link NetBackend}, for any test runner: run each case with the back-end's own `make`. */
export const backendContract: readonly ContractCase[] = [
  {
    name: "header lengths 0, 10 and 12 are accepted and nothing else",
    run: (make) => {
      const { backend } = make(new WindowTable());
      for (const length of [0, 10, 12]) check(setCapabilities(backend, 0, length) === 0, `length ${length} refused`);
      for (const length of [-1, 1, 9, 11, 13, 14, 20]) {
        check(setCapabilities(backend, 0, length) === -1, `length ${length} accepted`);
        check(
          backend.setCapabilities(0, length as NetHeaderLength) === -1,
          `length ${length} accepted by the back-end`,
        );
      }
    },
  },
  {
    name: "a refused capability leaves a working back-end without it",
    run: (make) => {
      const windows = new WindowTable();
      const under = make(windows);
      const inForce = setCapabilities(under.backend, 0xffff, 12);
      check(
        inForce >= 0 && (inForce & ~under.backend.capabilities) === 0,
        "a capability that is not offered is in force",
      );
      sendAndCompare(under, windows, [under.frame(100, 1)]);
    },
  },
  {
    name: "a batch is carried in order, over any entries",
    run: (make) => {
      for (const entryBytes of [[], [12], [5, 21, 40], [1], [13, 100]]) {
        const windows = new WindowTable();
        const under = make(windows);
        sendAndCompare(
          under,
          windows,
          [60, 14, 1514, 61].map((length, seed) => under.frame(length, seed)),
          entryBytes,
        );
      }
    },
  },
  {
    name: "when send returns, every buffer of the batch is free",
    run: (make) => {
      const windows = new WindowTable();
      const under = make(windows);
      const { backend } = under;
      const sink = attach(under, windows);
      const frames = [under.frame(100, 1), under.frame(1514, 2)];
      const batch = batchOf(windows, frames);
      backend.send(batch, batch.count, 0);
      overwrite(batch);
      for (let round = 0; backend.turn(round); round++) check(round < 100, "turn never ends");
      sink.assertSettled();
      compare(under.carried(), frames);
    },
  },
  {
    name: "frames arrive in order, each with its own length, over any buffers",
    run: (make) => {
      for (const entryBytes of [[65562], [12, 1514], [5, 21, 40, 1500], [100], [7]]) {
        const windows = new WindowTable();
        const under = make(windows);
        const sink = attach(under, windows, { entryBytes });
        const frames = [60, 14, 1514, 61].map((length, seed) => under.frame(length, seed));
        for (const frame of frames) under.arrive(frame);
        turnUntilQuiet(under.backend);
        sink.assertSettled();
        compare(
          sink.take().map(({ bytes }) => bytes),
          frames,
        );
      }
    },
  },
  {
    name: "without room frames wait, room is wanted, no turn spins, and none is lost",
    run: (make) => {
      const windows = new WindowTable();
      const under = make(windows);
      const sink = attach(under, windows, { elements: 1 });
      const frames = [under.frame(60, 1), under.frame(70, 2), under.frame(80, 3)];
      for (const frame of frames) under.arrive(frame);
      turnUntilQuiet(under.backend);
      check(sink.roomWanted, "room is not wanted");
      check(sink.take().length === 1, "not exactly one frame where one buffer was");
      check(!under.backend.turn(0), "a turn without room wants the next one at once");
      sink.addElements(2);
      turnUntilQuiet(under.backend);
      compare(
        sink.take().map(({ bytes }) => bytes),
        frames.slice(1),
      );
      sink.assertSettled();
    },
  },
  {
    name: "without a ring no turn spins, and no frame is left reserved",
    run: (make) => {
      const windows = new WindowTable();
      const under = make(windows);
      const sink = attach(under, windows, { ready: false });
      under.arrive(under.frame(60, 1));
      turnUntilQuiet(under.backend);
      check(sink.take().length === 0, "a frame without a ring");
      sink.assertSettled();
    },
  },
  {
    name: "nothing pending: turn commits nothing, discard says 0",
    run: (make) => {
      const windows = new WindowTable();
      const under = make(windows);
      const sink = attach(under, windows);
      turnUntilQuiet(under.backend);
      check(sink.take().length === 0, "a frame from nowhere");
      check(under.backend.discard() === 0, "something was discarded");
    },
  },
  {
    name: "discard takes one waiting frame and says its length",
    run: (make) => {
      const windows = new WindowTable();
      const under = make(windows);
      const sink = attach(under, windows);
      const kept = under.frame(77, 2);
      under.arrive(under.frame(60, 1));
      under.arrive(kept);
      check(under.backend.discard() === 60, "not the length of the oldest frame");
      turnUntilQuiet(under.backend);
      compare(
        sink.take().map(({ bytes }) => bytes),
        [kept],
      );
    },
  },
];

function attach(under: BackendUnderTest, windows: WindowTable, options: RecordingSinkOptions = {}): RecordingSink {
  const sink = new RecordingSink({ ...options, windows });
  setCapabilities(under.backend, 0, 12);
  under.backend.attach(sink);
  return sink;
}

function sendAndCompare(
  under: BackendUnderTest,
  windows: WindowTable,
  frames: readonly Uint8Array[],
  entryBytes: readonly number[] = [],
): void {
  const sink = attach(under, windows);
  const batch = batchOf(windows, frames, entryBytes);
  under.backend.send(batch, batch.count, 0);
  turnUntilQuiet(under.backend);
  sink.assertSettled();
  compare(under.carried(), frames);
}

function turnUntilQuiet(backend: NetBackend): void {
  for (let round = 0; backend.turn(round); round++) check(round < 1000, "turn never says that it is done");
}

function compare(got: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  check(got.length === expected.length, `${got.length} frames instead of ${expected.length}`);
  for (const [i, frame] of expected.entries()) {
    const same = got[i].length === frame.length && frame.every((byte, at) => got[i][at] === byte);
    check(same, `frame ${i}: ${got[i].length} bytes that are not the ${frame.length} expected`);
  }
}

function check(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Error(problem);
}
