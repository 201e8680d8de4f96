import { describe, expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { Capability } from "../backend.ts";
import { setCapabilities } from "../header-length.ts";
import { Refused, type RxSink } from "../rx-sink.ts";
import { type BackendUnderTest, backendContract } from "./backend-contract.ts";
import { batchOf } from "./frame-source.ts";
import { LoopbackBackend } from "./loopback-backend.ts";
import { RecordingSink } from "./recording-sink.ts";

const frame = (lengthBytes: number, seed: number): Uint8Array =>
  new Uint8Array(lengthBytes).map((_, i) => (i + seed * 37) & 0xff);

/** What a loopback carries arrives where the guest's frames arrive: at the sink. */
function make(windows: WindowTable): BackendUnderTest {
  const backend = new LoopbackBackend(windows);
  let sink: RecordingSink | null = null;
  const attach = backend.attach.bind(backend);
  backend.attach = (given: RxSink) => {
    sink = given as RecordingSink;
    attach(given);
  };
  return {
    backend,
    frame,
    arrive: (bytes) => backend.send(batchOf(windows, [bytes]), 1),
    carried: () => sink?.take().map(({ bytes }) => bytes) ?? [],
  };
}

describe("contract of a back-end: loopback", () => {
  for (const { name, run } of backendContract) test(name, () => run(make));
});

describe("the contract suite finds", () => {
  const broken = (change: (backend: LoopbackBackend) => void): ((windows: WindowTable) => BackendUnderTest) => {
    return (windows) => {
      const under = make(windows);
      change(under.backend as LoopbackBackend);
      return under;
    };
  };
  const rows: readonly [string, RegExp, (backend: LoopbackBackend) => void][] = [
    ["a back-end that takes any header length", /header lengths/, (backend) => (backend.setCapabilities = () => 0)],
    ["one that uses buffers after send", /every buffer of the batch is free/, (backend) => sendLate(backend)],
    ["one that drops every second frame", /carried in order/, (backend) => dropEverySecond(backend)],
    ["one that spins without a ring", /without a ring/, (backend) => (backend.turn = () => true)],
    ["one that discards nothing", /discard takes/, (backend) => (backend.discard = () => 0)],
    ["one that leaves a frame reserved", /each with its own length/, (backend) => reserveOneMore(backend)],
    [
      "one that a refused length breaks",
      /changes nothing/,
      (backend) => stopWhen(backend, (_, length) => length === 11),
    ],
    ["one that a capability breaks", /refused capability/, (backend) => stopWhen(backend, (bits) => bits === 8)],
    ["one that carries the header as well", /is taken off/, (backend) => sendFromStart(backend)],
    ["one that sends all that is in the batch", /that were counted/, (backend) => sendAll(backend)],
    ["one that cuts frames", /more than fits/, (backend) => cutAfterTen(backend)],
    ["one that never says that it is full", /loses no frame/, (backend) => neverFull(backend)],
    ["one that leaves offload fields behind", /ask for no offload/, (backend) => leaveOffload(backend)],
    ["one that waits for more room than it needs", /as soon as there is room/, (backend) => reserveMore(backend)],
    ["one that waits for ever with a frame too long", /too long for the guest/, (backend) => waitAtTooLong(backend)],
    ["one that discards two at once", /what waits for room/, (backend) => discardTwo(backend)],
    ["one that a reset ends", /after a reset/, (backend) => (backend.reset = () => backend.close())],
    ["one that works after its end", /closed one/, (backend) => (backend.close = () => {})],
  ];
  for (const [name, which, change] of rows) {
    test(name, () => {
      const rule = backendContract.find((one) => which.test(one.name));
      expect(rule).toBeDefined();
      expect(() => rule?.run(make)).not.toThrow();
      expect(() => rule?.run(broken(change))).toThrow();
    });
  }
});

function dropEverySecond(backend: LoopbackBackend): void {
  const turn = backend.turn.bind(backend);
  backend.turn = (nowMs) => {
    backend.discard();
    return turn(nowMs);
  };
}

function sendLate(backend: LoopbackBackend): void {
  const send = backend.send.bind(backend);
  const turn = backend.turn.bind(backend);
  const late: (() => void)[] = [];
  backend.send = (frames, count) => {
    late.push(() => send(frames, count));
  };
  backend.turn = (nowMs) => {
    for (const act of late.splice(0)) act();
    return turn(nowMs);
  };
}

function reserveOneMore(backend: LoopbackBackend): void {
  let sink: RxSink | null = null;
  const attach = backend.attach.bind(backend);
  const turn = backend.turn.bind(backend);
  backend.attach = (given) => {
    sink = given;
    attach(given);
  };
  backend.turn = (nowMs) => {
    const more = turn(nowMs);
    sink?.reserve(60);
    return more;
  };
}

function stopWhen(backend: LoopbackBackend, asked: (capabilities: number, length: number) => boolean): void {
  const setCapabilities = backend.setCapabilities.bind(backend);
  backend.setCapabilities = (capabilities, length) => {
    if (asked(capabilities, length)) backend.send = () => {};
    return setCapabilities(capabilities, length);
  };
}

function sendFromStart(backend: LoopbackBackend): void {
  const send = backend.send.bind(backend);
  backend.send = (frames, count) => {
    for (let i = 0; i < count; i++) {
      frames.length[i] += frames.offset[i];
      frames.offset[i] = 0;
    }
    send(frames, count);
  };
}

function sendAll(backend: LoopbackBackend): void {
  const send = backend.send.bind(backend);
  backend.send = (frames) => send(frames, frames.count);
}

function cutAfterTen(backend: LoopbackBackend): void {
  const send = backend.send.bind(backend);
  backend.send = (frames, count) => {
    for (let i = 10; i < count; i++) frames.length[i]--;
    send(frames, count);
  };
}

function neverFull(backend: LoopbackBackend): void {
  Object.defineProperty(backend, "full", { value: false });
}

/** Puts something between the back-end and its sink. */
function changeSink(backend: LoopbackBackend, change: (sink: RxSink) => void): void {
  const attach = backend.attach.bind(backend);
  backend.attach = (sink) => {
    change(sink);
    attach(sink);
  };
}

function leaveOffload(backend: LoopbackBackend): void {
  changeSink(backend, (sink) => {
    const commit = sink.commit.bind(sink);
    sink.commit = (index, lengthBytes) => {
      sink.frames.flags[index] = 1;
      commit(index, lengthBytes);
    };
  });
}

function reserveMore(backend: LoopbackBackend): void {
  changeSink(backend, (sink) => {
    const reserve = sink.reserve.bind(sink);
    sink.reserve = (lengthBytes) => reserve(lengthBytes + 1000);
  });
}

function waitAtTooLong(backend: LoopbackBackend): void {
  changeSink(backend, (sink) => {
    const reserve = sink.reserve.bind(sink);
    sink.reserve = (lengthBytes) => {
      const index = reserve(lengthBytes);
      return index === Refused.tooLong ? Refused.noRoom : index;
    };
  });
}

function discardTwo(backend: LoopbackBackend): void {
  const discard = backend.discard.bind(backend);
  backend.discard = () => {
    discard();
    return discard();
  };
}

test("a frame too long for the driver's buffers is dropped and counted, those behind it arrive", () => {
  const windows = new WindowTable();
  const backend = new LoopbackBackend(windows);
  const sink = new RecordingSink({ windows, entryBytes: [12, 1514], mergeable: false });
  expect(sink.reserve(1515)).toBe(Refused.tooLong);
  backend.attach(sink);
  backend.send(batchOf(windows, [frame(3000, 1), frame(100, 2)]), 2);
  expect(backend.turn(0)).toBe(false);
  expect(sink.take().map(({ bytes }) => bytes)).toEqual([frame(100, 2)]);
  expect([backend.carriedFrames, backend.droppedFrames]).toEqual([1, 1]);
});

test("a turn does a bounded amount of work, and more frames than can wait are dropped and counted", () => {
  const windows = new WindowTable();
  const backend = new LoopbackBackend(windows, { waitingFrames: 4, framesPerTurn: 3 });
  const sink = new RecordingSink({ windows });
  backend.attach(sink);
  const frames = [1, 2, 3, 4, 5].map((seed) => frame(60, seed));
  backend.send(batchOf(windows, frames), 5);
  expect(backend.droppedFrames).toBe(1);
  expect(backend.turn(0)).toBe(true);
  expect(sink.take().length).toBe(3);
  expect(backend.turn(0)).toBe(false);
  expect(sink.take().map(({ bytes }) => bytes)).toEqual([frames[3]]);
});

test("offloads pass with a guest that takes them; taking without giving is refused", () => {
  const windows = new WindowTable();
  const backend = new LoopbackBackend(windows);
  const sink = new RecordingSink({ windows, partialChecksum: true });
  const both = Capability.takesPartialChecksum | Capability.givesPartialChecksum;
  expect(setCapabilities(backend, both, 12)).toBe(both);
  expect(setCapabilities(backend, Capability.takesTso4 | Capability.givesTso6, 12)).toBe(0);
  backend.attach(sink);
  const batch = batchOf(windows, [frame(100, 1)]);
  batch.flags[0] = 1;
  batch.checksumStart[0] = 34;
  batch.checksumOffset[0] = 16;
  backend.send(batch, 1);
  backend.turn(0);
  const [got] = sink.take();
  expect([got.flags, got.checksumStart, got.checksumOffset]).toEqual([1, 34, 16]);
});

test("reset forgets what waits, close gives its window back", () => {
  const windows = new WindowTable();
  const backend = new LoopbackBackend(windows);
  const before = windows.count;
  backend.send(batchOf(windows, [frame(100, 1)]), 1);
  backend.reset(0);
  expect(backend.discard()).toBe(0);
  backend.close();
  expect(windows.count).toBe(before);
});
