import { expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import { WindowTable } from "@passt-ts/iov/windows";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import { batchOf } from "@passt-ts/net-backend/testing/frame-source";
import { LoopbackBackend } from "@passt-ts/net-backend/testing/loopback-backend";
import { RecordingSink } from "@passt-ts/net-backend/testing/recording-sink";
import { PcapWriter } from "@passt-ts/pcap/writer";
import { Capture, CapturingBackend } from "./capture.ts";

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

interface CapturedRecord {
  readonly seconds: number;
  readonly microseconds: number;
  readonly bytes: number[];
}

/** A loopback back-end that is captured, the guest's sink, and the records so far. */
function rig(options: { elements?: number; epochMs?: number; partialChecksum?: boolean } = {}) {
  const windows = new WindowTable();
  const file: number[] = [];
  const writer = new PcapWriter({
    windows,
    stagingWindow: windows.add(new Uint8Array(65536 * 4)),
    sink: (bytes, lengthBytes) => {
      file.push(...bytes.subarray(0, lengthBytes));
      return lengthBytes;
    },
  });
  const capture = new Capture(writer, windows, () => options.epochMs ?? 0);
  const inner = new LoopbackBackend(windows);
  const backend = new CapturingBackend(inner, capture);
  const elements = options.elements ?? Number.POSITIVE_INFINITY;
  const sink = new RecordingSink({ windows, elements, partialChecksum: options.partialChecksum ?? false });
  const records = (): CapturedRecord[] => {
    capture.flush();
    const view = new DataView(Uint8Array.from(file).buffer);
    const found: CapturedRecord[] = [];
    for (let at = FILE_HEADER_BYTES; at < file.length; ) {
      const [seconds, microseconds, length, original] = [0, 4, 8, 12].map((o) => view.getUint32(at + o, true));
      expect(original).toBe(length);
      found.push({
        seconds,
        microseconds,
        bytes: file.slice(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length),
      });
      at += RECORD_HEADER_BYTES + length;
    }
    return found;
  };
  return { windows, capture, inner, backend, sink, records };
}

const frame = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 255);

test("both directions are recorded, each frame with exactly its own length, whatever its buffers could hold", () => {
  const { windows, backend, sink, records, capture } = rig({ epochMs: 1_750_000_000_123.456 });
  backend.attach(sink);
  const frames = [frame(60, 1), frame(1514, 2)];
  backend.send(batchOf(windows, frames, [12, 40, 9000]), 2, 0);
  backend.turn(0);
  const got = records();
  expect(got.map(({ bytes }) => bytes)).toEqual([...frames, ...frames].map((bytes) => [...bytes]));
  expect([got[0].seconds, got[0].microseconds]).toEqual([1_750_000_000, 123_456]);
  expect(capture.records).toBe(4);
});

test("a back-end that is full for a while is so with a capture around it, too", () => {
  const { windows, backend, sink } = rig();
  backend.attach(sink);
  expect(backend.full).toBe(false);
  backend.send(batchOf(windows, Array(32).fill(frame(60, 1))), 32, 0);
  expect(backend.full).toBe(true);
  backend.turn(0);
  expect(backend.full).toBe(false);
});

test("a short frame to the guest is padded with zeros to 60 bytes, for the guest and in the record alike", () => {
  const { windows, backend, sink, records } = rig();
  backend.attach(sink);
  backend.send(batchOf(windows, [frame(42, 1)]), 1, 0);
  backend.turn(0);
  const [fromGuest, toGuest] = records();
  const padded = [...frame(42, 1), ...new Array(18).fill(0)];
  expect([fromGuest.bytes, toGuest.bytes]).toEqual([[...frame(42, 1)], padded]);
  expect(sink.take().map(({ bytes }) => [...bytes])).toEqual([padded]);
  sink.assertSettled();
});

test("a checksum that was left partial is complete in the record and untouched in the guest's memory", () => {
  const { windows, backend, sink, records } = rig({ partialChecksum: true });
  backend.attach(sink);
  const bytes = frame(75, 3);
  const batch = batchOf(windows, [bytes]);
  batch.flags[0] = 1;
  batch.checksumStart[0] = 34;
  batch.checksumOffset[0] = 16;
  backend.send(batch, 1, 0);
  let sum = 0;
  for (let i = 34; i < 75; i++) sum += i % 2 === 0 ? bytes[i] * 256 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const expected = [...bytes];
  expected[50] = (~sum & 0xffff) >>> 8;
  expected[51] = ~sum & 0xff;
  expect(records()[0].bytes).toEqual(expected);
  backend.turn(0);
  expect(sink.take().map((taken) => [...taken.bytes])).toEqual([[...bytes]]);
});

test("a checksum that lies behind the frame is no reason to write there", () => {
  const { windows, backend, records } = rig();
  const batch = batchOf(windows, [frame(60, 1)]);
  batch.flags[0] = 1;
  batch.checksumStart[0] = 50;
  batch.checksumOffset[0] = 9;
  backend.send(batch, 1, 0);
  expect(records()[0].bytes).toEqual([...frame(60, 1)]);
});

test("a frame that was given back is not recorded; room, readiness and offloads are those of the ring", () => {
  const { backend, inner, sink, records, windows } = rig({ elements: 1, partialChecksum: true });
  let seen: RxSink | null = null;
  const attach = inner.attach.bind(inner);
  inner.attach = (given) => {
    seen = given;
    attach(given);
  };
  backend.attach(sink);
  const given = seen as unknown as RxSink;
  const index = given.reserve(100);
  expect([index, given.reserve(100)]).toEqual([0, Refused.noRoom]);
  given.giveBack(index);
  sink.segmentationBytesMax6 = 1006;
  sink.udpSegmentationBytesMax4 = 1704;
  sink.udpSegmentationBytesMax6 = 1706;
  expect([given.ready, given.partialChecksum]).toEqual([true, true]);
  expect([given.segmentationBytesMax4, given.segmentationBytesMax6]).toEqual([0, 1006]);
  expect([given.udpSegmentationBytesMax4, given.udpSegmentationBytesMax6]).toEqual([1704, 1706]);
  expect([given.wantRoom(true), sink.roomWanted]).toEqual([true, true]);
  const again = given.reserve(70);
  const window = windows.add(frame(70, 5));
  scatter(given.frames.select(again, new Iov(given.frames.pool)), given.frames.offset[again], window, 0, 70);
  given.commit(again, 70);
  expect(records().map(({ bytes }) => bytes)).toEqual([[...frame(70, 5)]]);
  sink.assertSettled();
});

test("everything else is the wrapped back-end's", () => {
  const { backend, inner, windows, sink } = rig();
  backend.attach(sink);
  expect([backend.capabilities, backend.deadlineMs]).toEqual([inner.capabilities, inner.deadlineMs]);
  expect([backend.setCapabilities(0, 10), inner.headerLength]).toEqual([0, 10]);
  backend.send(batchOf(windows, [frame(60, 1), frame(70, 2)]), 2, 0);
  expect(backend.discard()).toBe(60);
  backend.reset(0);
  expect([backend.discard(), backend.turn(0)]).toEqual([0, false]);
  backend.close();
});
