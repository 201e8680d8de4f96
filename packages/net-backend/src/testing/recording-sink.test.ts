import { expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { memset } from "@passt-ts/iov/memset";
import { Refused } from "../rx-sink.ts";
import { RecordingSink } from "./recording-sink.ts";

function fill(sink: RecordingSink, index: number, byte: number, length: number, at = 0): void {
  const iov = sink.frames.select(index, new Iov(sink.frames.pool));
  memset(iov, sink.frames.offset[index] + at, byte, length);
}

test("records the committed bytes with their own length, over any layout", () => {
  for (const entryBytes of [[65562], [12, 1514], [5, 21, 40, 1500], [66, 600], [1], [100, 100, 100, 100], [0, 7]]) {
    const sink = new RecordingSink({ entryBytes });
    const first = sink.reserve(61);
    const second = sink.reserve(1400);
    fill(sink, first, 1, 61);
    fill(sink, second, 2, 1000);
    sink.frames.flags[second] = 1;
    sink.frames.checksumStart[second] = 34;
    sink.commit(first, 61);
    sink.commit(second, 1000);
    sink.assertSettled();
    const [a, b] = sink.take();
    expect(a.bytes).toEqual(new Uint8Array(61).fill(1));
    expect(a.flags).toBe(0);
    expect(b.bytes).toEqual(new Uint8Array(1000).fill(2));
    expect([b.flags, b.checksumStart]).toEqual([1, 34]);
    expect(sink.take()).toEqual([]);
  }
});

test("a frame neither committed nor given back fails", () => {
  const sink = new RecordingSink();
  sink.reserve(100);
  expect(() => sink.assertSettled()).toThrow("neither committed nor given back");
  sink.giveBack(0);
  sink.assertSettled();
});

test("commits out of order, too long ones and a shortened frame that is not the newest fail", () => {
  const outOfOrder = new RecordingSink();
  outOfOrder.reserve(100);
  outOfOrder.reserve(100);
  outOfOrder.commit(1, 100);
  outOfOrder.giveBack(0);
  expect(() => outOfOrder.assertSettled()).toThrow("oldest reserved frame is 0");

  const tooLong = new RecordingSink();
  tooLong.reserve(100);
  tooLong.commit(0, 101);
  expect(() => tooLong.assertSettled()).toThrow("only 100 bytes reserved");

  const shortened = new RecordingSink();
  shortened.reserve(100);
  shortened.reserve(100);
  shortened.commit(0, 99);
  shortened.commit(1, 99);
  expect(() => shortened.assertSettled()).toThrow("not the newest");
});

test("a byte written behind the reserved length, or in front of the frame, fails", () => {
  const behind = new RecordingSink();
  behind.reserve(100);
  fill(behind, 0, 1, 101);
  behind.commit(0, 100);
  expect(() => behind.assertSettled()).toThrow("outside");
  const before = new RecordingSink();
  before.reserve(100);
  fill(before, 0, 1, 1, -1);
  before.commit(0, 100);
  expect(() => before.assertSettled()).toThrow("outside");
});

test("the ring's capacity counts elements, and a give-back is exact", () => {
  const sink = new RecordingSink({ entryBytes: [12, 500], elements: 5 });
  expect(sink.reserve(1000)).toBe(0);
  expect(sink.elements).toBe(3);
  expect(sink.reserve(1400)).toBe(1);
  expect(sink.elements).toBe(0);
  expect(sink.reserve(60)).toBe(Refused.noRoom);
  sink.giveBack(1);
  expect(sink.elements).toBe(3);
  sink.commit(0, 10);
  expect(sink.elements).toBe(4);
  sink.assertSettled();
});

test("readiness, mergeable, frame capacity", () => {
  const sink = new RecordingSink({ ready: false, mergeable: false, entryBytes: [12, 1514], frameCapacity: 1 });
  expect(sink.reserve(60)).toBe(Refused.notReady);
  expect(sink.wantRoom(true)).toBe(false);
  sink.ready = true;
  expect(sink.wantRoom(true)).toBe(true);
  expect(sink.roomWanted).toBe(true);
  expect(sink.reserve(1515)).toBe(Refused.tooLong);
  expect(sink.reserve(1514)).toBe(0);
  expect(sink.reserve(60)).toBe(Refused.noRoom);
  sink.giveBack(0);
  expect(sink.refusals).toBe(3);
});

test("there is room when what was refused fits, as a ring says it", () => {
  const sink = new RecordingSink({ entryBytes: [100], elements: 2 });
  expect(sink.reserve(1000)).toBe(Refused.noRoom);
  expect(sink.wantRoom(true)).toBe(false);
  sink.addElements(9);
  expect(sink.wantRoom(true)).toBe(true);
});
