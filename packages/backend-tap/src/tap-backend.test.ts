import { describe, expect, test } from "bun:test";
import { TapOffload } from "@passt-ts/linux/tap-device";
import { openFileCount } from "@passt-ts/linux/testing/open-files";
import { Capability } from "@passt-ts/net-backend/backend";
import { overwrite } from "@passt-ts/net-backend/testing/frame-source";
import { TapCounter } from "./tap-counter.ts";
import { FakeRig } from "./testing/fake-rig.ts";
import { FakeTap } from "./testing/fake-tap.ts";
import { testFrame } from "./testing/tap-rig.ts";

const GIVES_TSO4 = Capability.givesPartialChecksum | Capability.givesTso4;

describe("back-pressure", () => {
  const frames = Array.from({ length: 40 }, (_, seed) => testFrame(1000, seed));

  test("what the host does not take waits as a copy, says full, and goes on when the host takes it", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    const batch = rig.batch(frames);
    rig.backend.send(batch, frames.length, 0);
    overwrite(batch);
    expect(rig.backend.full).toBe(true);
    expect(rig.counter(TapCounter.txWaited)).toBeGreaterThan(0);
    expect(rig.pump()).toBe(0);
    const taken: Uint8Array[] = [];
    for (let one = tap.take(); one !== null; one = tap.take()) taken.push(one.frame);
    expect(taken.length).toBeLessThan(frames.length);
    let turnsWanted = 0;
    while (rig.backend.full) {
      turnsWanted = rig.pump(1000);
      for (let one = tap.take(); one !== null; one = tap.take()) taken.push(one.frame);
    }
    // The device left the guest's frames in their ring, and has to hear of it.
    expect(turnsWanted).toBe(1);
    expect(taken).toEqual(frames);
  });

  test("more than may wait is dropped and counted, and nothing overtakes", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    const many = Array.from({ length: 400 }, (_, seed) => testFrame(1000, seed));
    rig.send(...many);
    const dropped = rig.counter(TapCounter.txFull);
    expect(rig.counter(TapCounter.txWaited)).toBe(256);
    expect(rig.counter(TapCounter.txFrames) + 256 + dropped).toBe(400);
    const taken: Uint8Array[] = [];
    do {
      for (let one = tap.take(); one !== null; one = tap.take()) taken.push(one.frame);
      rig.pump();
    } while (rig.backend.full);
    for (let one = tap.take(); one !== null; one = tap.take()) taken.push(one.frame);
    expect(taken).toEqual(many.slice(0, 400 - dropped));
  });

  test("a reset forgets what waits, either way", () => {
    using rig = new FakeRig({ sink: { elements: 0 } });
    const { tap } = rig;
    rig.send(...frames);
    for (const frame of frames.slice(0, 20)) tap.deliver(frame);
    rig.pump();
    rig.backend.reset(0);
    expect(rig.backend.full).toBe(false);
    rig.sink.addElements(100);
    expect(rig.received()).toEqual([]);
    tap.deliver(frames[33]);
    expect(rig.received().map(({ bytes }) => bytes)).toEqual([frames[33]]);
  });

  test("no room keeps frames at the host, where they stay in order", () => {
    using rig = new FakeRig({ sink: { elements: 2 } });
    const { tap } = rig;
    for (const frame of frames.slice(0, 5)) tap.deliver(frame);
    expect(rig.received().length).toBe(2);
    expect([rig.sink.roomWanted, rig.backend.turn(0)]).toEqual([true, false]);
    rig.sink.addElements(10);
    expect(rig.received().map(({ bytes }) => bytes)).toEqual(frames.slice(2, 5));
    expect(rig.sink.roomWanted).toBe(false);
    expect(rig.counter(TapCounter.rxCopied)).toBe(0);
  });

  test("a turn does a bounded amount of work", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    for (let i = 0; i < 150; i++) expect(tap.deliver(testFrame(60, i))).toBe(true);
    rig.loop.wait(0);
    expect(rig.backend.turn(0)).toBe(true);
    expect(rig.sink.take().length).toBe(64);
    expect(rig.pump()).toBe(1);
    expect(rig.sink.take().length).toBe(86);
  });
});

describe("room for frames whose length nobody knows", () => {
  test("a frame longer than expected is copied once, the next like it is not", () => {
    using rig = new FakeRig({ sink: { entryBytes: [1526] } });
    const { tap } = rig;
    const long = [60000, 64000, 1514, 9014].map((bytes, seed) => testFrame(bytes, seed));
    for (const frame of long) {
      tap.deliver(frame);
      expect(rig.received().map(({ bytes }) => bytes)).toEqual([frame]);
    }
    // Both first ones: 64000 bytes are more than 60000 led to expect.
    expect(rig.counter(TapCounter.rxCopied)).toBe(2);
  });

  test("a stream of long frames is not copied, whatever comes between them and in however many turns", () => {
    using rig = new FakeRig({ sink: { entryBytes: [1526] } });
    const { tap } = rig;
    for (let seed = 0; seed < 300; seed++) {
      const frame = testFrame(seed % 30 === 0 ? 64_000 : 60, seed);
      tap.deliver(frame);
      expect(rig.received().map(({ bytes }) => bytes)).toEqual([frame]);
      rig.pump();
    }
    expect(rig.counter(TapCounter.rxCopied)).toBe(1);
  });

  test("what was long is forgotten: short frames ask for short room again", () => {
    using rig = new FakeRig({ sink: { entryBytes: [1526] } });
    const { tap } = rig;
    const carry = (lengthBytes: number): void => {
      tap.deliver(testFrame(lengthBytes, 1));
      expect(rig.received().length).toBe(1);
    };
    for (let i = 0; i < 2; i++) {
      carry(64_000);
      for (let frame = 0; frame < 128; frame++) carry(60);
    }
    expect(rig.counter(TapCounter.rxCopied)).toBe(2);
  });

  test("buffers too short for what is likely get what they can hold", () => {
    using rig = new FakeRig({ sink: { entryBytes: [12, 1514], mergeable: false } });
    const { tap } = rig;
    const frames = [1514, 60, 1515, 1000].map((bytes, seed) => testFrame(bytes, seed));
    for (const frame of frames) tap.deliver(frame);
    expect(rig.received().map(({ bytes }) => bytes)).toEqual([frames[0], frames[1], frames[3]]);
    expect(rig.counter(TapCounter.rxTooLong)).toBe(1);
    const refusals = rig.sink.refusals;
    tap.deliver(frames[1]);
    expect(rig.received().length).toBe(1);
    // It does not ask again for what no buffer can hold.
    expect(rig.sink.refusals).toBe(refusals);
  });

  test("buffers of single bytes, more than a system call takes, get their frames", () => {
    using rig = new FakeRig({ sink: { entryBytes: [1] } });
    const { tap } = rig;
    const frames = [1514, 60].map((bytes, seed) => testFrame(bytes, seed));
    for (const frame of frames) tap.deliver(frame);
    expect(rig.received().map(({ bytes }) => bytes)).toEqual(frames);
  });

  test("buffers that are too many pieces only for a long frame get short ones without a copy", () => {
    using rig = new FakeRig({ sink: { entryBytes: [50] } });
    const { tap } = rig;
    const frames = [60_000, 60_000, 1514, 60].map((bytes, seed) => testFrame(bytes, seed));
    for (const frame of frames) {
      tap.deliver(frame);
      expect(rig.received().map(({ bytes }) => bytes)).toEqual([frame]);
    }
    expect(rig.counter(TapCounter.rxCopied)).toBe(2);
  });

  test("frames of the guest in more pieces than a system call takes are copied once and carried", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    const frame = testFrame(1514, 3);
    rig.backend.send(rig.batch([frame], [1]), 1, 0);
    expect(tap.take()?.frame).toEqual(frame);
    expect(rig.counter(TapCounter.txGathered)).toBe(1);
  });

  test("a frame longer than any is dropped and counted", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    tap.deliver(testFrame(66000, 1));
    tap.deliver(testFrame(60, 2));
    expect(rig.received().map(({ bytes }) => bytes)).toEqual([testFrame(60, 2)]);
    expect(rig.counter(TapCounter.rxTooLong)).toBe(1);
  });
});

describe("a descriptor that hangs up", () => {
  test("is reported once; frames are dropped and counted until the interface is there again", () => {
    const next = { tap: null as FakeTap | null, asked: 0 };
    const reopen = () => {
      next.asked++;
      if (next.asked === 2 || next.asked === 3) throw new Error("not yet");
      return next.tap;
    };
    using rig = new FakeRig({ reopen });
    const { tap } = rig;
    rig.backend.setCapabilities(GIVES_TSO4, 12);
    tap.vanish();
    rig.nowMs = 1000;
    rig.pump();
    rig.send(testFrame(60, 1), testFrame(60, 2));
    rig.pump();
    expect(rig.reports).toEqual(["warning: fake0 was deleted: frames are dropped until it is there again"]);
    expect([rig.backend.isOpen, rig.backend.deadlineMs, next.asked]).toEqual([false, 2000, 1]);
    expect([rig.counter(TapCounter.txLinkDown), rig.backend.discard(), rig.backend.full]).toEqual([2, 0, false]);
    rig.nowMs = 2000;
    rig.pump();
    expect([next.asked, rig.backend.deadlineMs]).toEqual([2, 3000]);
    rig.nowMs = 3000;
    rig.pump();
    next.tap = new FakeTap();
    rig.nowMs = 4000;
    rig.pump();
    expect(rig.reports.slice(1)).toEqual([
      "warning: fake0 is there again and cannot be opened: not yet",
      "info: fake0 is there again",
    ]);
    expect([next.tap.offload, next.tap.headerLength]).toEqual([TapOffload.checksum | TapOffload.tso4, 12]);
    rig.send(testFrame(60, 3));
    expect(next.tap.take()?.frame).toEqual(testFrame(60, 3));
    next.tap.deliver(testFrame(60, 4));
    expect(rig.received().length).toBe(1);
    expect(rig.backend.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  test("what is negotiated meanwhile is in force afterwards", () => {
    const next = new FakeTap();
    using rig = new FakeRig({ reopen: () => next });
    const { tap } = rig;
    tap.vanish();
    rig.loop.wait(0);
    expect(rig.backend.setCapabilities(Capability.givesPartialChecksum, 12)).toBe(0);
    rig.pump();
    expect(next.offload).toBe(TapOffload.checksum);
  });

  test("takes with it what was held for the guest", () => {
    using rig = new FakeRig({ sink: { entryBytes: [100], elements: 2 } });
    rig.tap.deliver(testFrame(1000, 1));
    rig.pump();
    rig.tap.vanish();
    rig.pump();
    expect(rig.backend.discard()).toBe(0);
  });

  test("of which there is no other is gone for good", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    tap.vanish();
    rig.pump();
    expect(rig.reports).toEqual(["warning: fake0 was deleted: frames are dropped for good"]);
    expect([rig.backend.deadlineMs, rig.backend.turn(1e9)]).toEqual([Number.POSITIVE_INFINITY, false]);
  });
});

test("close gives back descriptors and windows", () => {
  const before = openFileCount();
  const rig = new FakeRig();
  const windows = rig.windows.count;
  rig.send(testFrame(60, 1));
  rig.backend.close();
  expect(rig.windows.count).toBe(windows);
  rig[Symbol.dispose]();
  expect(openFileCount()).toBe(before);
});
